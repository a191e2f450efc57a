import { defineConfig } from "vitest/config";

/** Tests that need a GPU device; npm run test:gpu provides one. */
export default defineConfig({
  test: {
    include: ["test/kernels/**/*.gpu.ts", "test/port/*.gpu.ts"],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    fileParallelism: false, // SwiftShader takes every core by itself
  },
});
