/**
 * The relaxed SIMD build: the plain one, and matrices by relaxed_dot.
 */
export * from "./simd";
export { multiplyQ4U8, multiplyQ4I8 } from "./matrix-q4-relaxed";
export { multiplyQ4I16 } from "./matrix-q4-i16";
export { multiplyQ4U8Checked, multiplyQ4I8Checked } from "./matrix-q4-checked";
export { multiplyQ8U8, multiplyQ8I8 } from "./matrix-q8-relaxed";
export { probeDot } from "./probe";
