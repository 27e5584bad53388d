"use strict";

const theme = localStorage.getItem("modstream.theme"); // as chosen on the page at /
const isDark = theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
document.documentElement.classList.toggle("dark-mode", isDark); // a class of Swagger UI

// A key that the page at / keeps for this tab works here too. It leaves neither the tab nor this origin.
const ui = SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  docExpansion: "list",
  displayRequestDuration: true,
  tryItOutEnabled: true,
  defaultModelsExpandDepth: 0,
  validatorUrl: null, // else a badge from another host
  layout: "BaseLayout",
  presets: [SwaggerUIBundle.presets.apis, SwaggerUIBundle.SwaggerUIStandalonePreset].filter(Boolean),
  onComplete() {
    const key = sessionStorage.getItem("modstream.key");
    if (key) ui.preauthorizeApiKey("API key", key);
  },
});
