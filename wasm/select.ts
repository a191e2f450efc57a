/**
 * Which build of the kernels a host can run. workerd refuses to compile bytes at run time, but it may validate them;
 * the builds themselves come as ready modules.
 */

/**
 * The smallest module that holds a relaxed SIMD instruction:
 *   (module (func (result v128)
 *     i32.const 0  i8x16.splat  i32.const 0  i8x16.splat  i32.const 0  i32x4.splat
 *     i32x4.relaxed_dot_i8x16_i7x16_add_s))
 */
// prettier-ignore
const PROBE = new Uint8Array([
  0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, // magic, version 1
  0x01, 0x05, 0x01, 0x60, 0x00, 0x01, 0x7b, // type 0: () -> v128
  0x03, 0x02, 0x01, 0x00, // function 0 has type 0
  0x0a, 0x13, 0x01, 0x11, 0x00, // code: one body of 17 bytes, no locals
  0x41, 0x00, 0xfd, 0x0f, 0x41, 0x00, 0xfd, 0x0f, 0x41, 0x00, 0xfd, 0x11, // splats
  0xfd, 0x93, 0x02, 0x0b, // i32x4.relaxed_dot_i8x16_i7x16_add_s, end
]);

/** Whether this host compiles relaxed SIMD, and so `relaxed.wasm`; where not, take `simd.wasm`. */
export function supportsRelaxedSimd(): boolean {
  return WebAssembly.validate(PROBE);
}
