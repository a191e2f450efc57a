/** What esbuild's loader "file" gives for a .wasm file: its URL. */
declare module "*.wasm" {
  const url: string;
  export default url;
}
