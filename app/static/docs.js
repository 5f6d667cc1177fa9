// @ts-check
// Shows /openapi.json. The validator badge would ask a server elsewhere.
window.addEventListener("load", () => {
  /** @type {any} */ (window).SwaggerUIBundle({
    url: "/openapi.json",
    dom_id: "#docs",
    deepLinking: true,
    docExpansion: "list",
    defaultModelsExpandDepth: -1,
    validatorUrl: null,
  });
});
