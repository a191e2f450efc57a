import { defineConfig } from "vitest/config";

/** Tests that need a GPU device or a browser; npm run test:gpu provides the device. */
export default defineConfig({
  test: {
    include: ["test/kernels/**/*.gpu.ts", "test/port/*.gpu.ts", "test/{folders,wasm}/*.browser.ts"],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    fileParallelism: false, // SwiftShader takes every core by itself
  },
});
