declare module "swagger-ui-dist/swagger-ui-es-bundle.js" {
  import type { ViewerRequest } from "./calls";

  /** What is used of https://swagger.io/docs/open-source-tools/swagger-ui/usage/configuration. */
  export default function SwaggerUI(options: {
    dom_id: string;
    url: string;
    deepLinking: boolean;
    docExpansion: "none";
    filter: boolean;
    tryItOutEnabled: boolean;
    defaultModelsExpandDepth: number;
    displayRequestDuration: boolean;
    persistAuthorization: boolean;
    validatorUrl: null;
    requestInterceptor: (request: ViewerRequest) => ViewerRequest;
  }): void;
}
