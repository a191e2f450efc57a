/** What a release may hold, and what it must. */

/** Nothing else is packed. */
const ALLOWED: readonly RegExp[] = [
  /^(package\.json|openapi\.json|README\.md|LICENSE)$/,
  /^cli\/[\w-]+\.mjs$/,
  /^models\/nano\/[\w.-]+\.(json|jinja|safetensors)$/,
  /^dist\/(chunks|types|engine|worker|wasm|kernels|onnx|folders|cli|examples)\/[\w./-]+\.(js|d\.ts)$/,
  /^templates\/(common|router|guard|chat)\/((deciding|labelled)\/)?(src\/[\w-]+(\.d)?\.ts|test\/worker\.test\.mjs|[\w.-]+)$/,
  /^dist\/wasm\/build\/(simd|relaxed|convert|regression)\.wasm$/,
  /^dist\/examples\/browser\/index\.html$/,
];

/** Never, wherever they lie. */
const FORBIDDEN = /(^|\/)(\.|test|node_modules)|^train\/|\.(test\.|env|pem|key|log|tsbuildinfo)|secret/i;

/** The test that a starter project begins with. */
const STARTER_TEST = /^templates\/[a-z]+\/((deciding|labelled)\/)?test\/worker\.test\.mjs$/;

/** @param files paths within the package. @returns those that do not belong there */
export function strangers(files: readonly string[]): string[] {
  return files.filter((file) => FORBIDDEN.test(file.replace(STARTER_TEST, "")) || !ALLOWED.some((pattern) => pattern.test(file)));
}

/** Files without which the package does not work. @param exported targets of package.json's exports and bin */
export function missing(files: readonly string[], exported: readonly string[]): string[] {
  const needed = ["package.json", "README.md", "LICENSE", "models/nano/config.json", "models/nano/model.safetensors", ...exported];
  return needed.filter((file) => !files.includes(file));
}

/** Targets of package.json's exports and bin that name one file. */
export function exportedFiles({ exports, bin }: { exports: Record<string, unknown>; bin: Record<string, string> }): string[] {
  const targets = Object.values(exports).flatMap((target) => (typeof target === "string" ? [target] : Object.values(target as object)));
  return [...targets, ...Object.values(bin)].map((path) => String(path).replace(/^\.\//, "")).filter((path) => !path.includes("*"));
}
