import react from "@vitejs/plugin-react";
import { defineConfig, loadEnv } from "vite";

export default defineConfig(({ mode }) => {
  const gateway = loadEnv(mode, ".", "VENUEMESH_").VENUEMESH_GATEWAY ?? "http://127.0.0.1:8081";
  return {
    plugins: [react()],
    build: { target: "es2023", chunkSizeWarningLimit: 800 },
    // In development the calls go to a running gateway; the built site is served by it.
    server: { proxy: { "^/venuemesh\\.": { target: gateway } } },
  };
});
