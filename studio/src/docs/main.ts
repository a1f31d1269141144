import "swagger-ui-dist/swagger-ui.css";

import SwaggerUI from "swagger-ui-dist/swagger-ui-es-bundle.js";

import { prepare } from "./calls";

SwaggerUI({
  dom_id: "#docs",
  url: "/openapi.json",
  deepLinking: true,
  docExpansion: "none",
  filter: true,
  tryItOutEnabled: true,
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  // A pasted token is kept by this page alone, and only until it is left.
  persistAuthorization: false,
  // No request to another host.
  validatorUrl: null,
  requestInterceptor: prepare,
});
