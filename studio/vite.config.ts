import react from "@vitejs/plugin-react";
import { defineConfig, loadEnv } from "vite";

export default defineConfig(({ mode }) => {
  const gateway = loadEnv(mode, ".", "VENUEMESH_").VENUEMESH_GATEWAY ?? "http://127.0.0.1:8081";
  return {
    plugins: [react()],
    build: {
      target: "es2023",
      // The viewer of docs.html is one large file.
      chunkSizeWarningLimit: 2000,
      rolldownOptions: { input: ["index.html", "docs.html"] },
    },
    // In development the calls go to a running gateway; the built site is served by it.
    // The gateway refuses pages of other origins than its own.
    server: {
      proxy: {
        "^/(venuemesh\\.|v1/|openapi|sign-in|sign-out|session/)": {
          target: gateway,
          changeOrigin: true,
          headers: { origin: gateway },
        },
      },
    },
  };
});
