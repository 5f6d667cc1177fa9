// @ts-check
// The time of day as both pages show it.

/**
 * Hours, minutes and seconds, in the browser's time zone.
 * @param {Date} date
 */
export const clock = (date) => date.toLocaleTimeString("en-GB");
