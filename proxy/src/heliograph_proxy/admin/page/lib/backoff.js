// @ts-check
// Waits between attempts: they double up to a bound, with jitter, so that many pages do not all reconnect at once.

/**
 * The wait after so many failures, in the unit of `first` and `longest`. At least half of it is certain: a page that an
 * operator watches must not show a wait of nothing.
 * @param {number} failures
 * @param {{first: number, longest: number, random?: () => number}} bounds
 */
export const delay = (failures, { first, longest, random = Math.random }) =>
  Math.min(longest, first * 2 ** Math.min(failures, 16)) * (0.5 + random() / 2);
