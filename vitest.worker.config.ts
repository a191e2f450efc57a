import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";

/** Tests that run inside workerd, against the Worker of wrangler.toml, of its sources, and the shipped model. */
export default defineConfig({
  plugins: [
    cloudflareTest({
      main: "./worker/index.ts",
      wrangler: { configPath: "./wrangler.toml" },
      miniflare: { bindings: { OPEN_TO_ALL: "true" }, kvNamespaces: ["CALIBRATION"] },
    }),
  ],
  test: {
    include: ["test/worker/**/*.test.ts"],
    testTimeout: 60_000,
    maxWorkers: "100%",
    isolate: false, // one workerd for all files: 8 s instead of 25
  },
});
