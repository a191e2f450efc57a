/** How wrangler and the tests hand over a .wasm file: compiled. */
declare module "*.wasm" {
  const module: WebAssembly.Module;
  export default module;
}
