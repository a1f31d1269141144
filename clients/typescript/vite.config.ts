// Bundles the examples for browsers, where another setup.ts connects and prints.
import { fileURLToPath } from "node:url";

import { defineConfig } from "vite";

const inFolder = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  root: inFolder("examples/browser"),
  base: "./",
  resolve: {
    alias: [{ find: /^\.\/setup\.js$/, replacement: inFolder("examples/browser/setup.ts") }],
  },
  build: { target: "es2023", outDir: inFolder("dist/browser"), emptyOutDir: true },
});
