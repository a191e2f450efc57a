import { defineConfig } from "vitest/config";

/** Tests that run under Node; those inside workerd have vitest.worker.config.ts. */
export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    exclude: ["test/worker/**"],
    testTimeout: 60_000,
    maxWorkers: "100%", // every core: by default one is left free, which on two cores is half of them
    coverage: {
      include: ["{engine,wasm,kernels,onnx,folders,worker,cli,bench}/**/*.ts"],
      exclude: ["*/assembly/**", "*/build/**", "bench/peers/**", "bench/workerd/**"],
      reporter: ["text"],
    },
  },
});
