/**
 * The plain SIMD128 build: what every host has. The relaxed build adds to it (relaxed.ts).
 */
export { multiplyF32 } from "./matrix-f32";
export { multiplyQ4Pairs, multiplyQ8Pairs } from "./matrix-plain";
export { quantisedRowBytes, quantiseRows } from "./quantise";
export { Form_Q4_U8, Form_Q4_I8, Form_Q4_I16, Form_Q4_PAIRS, Form_Q8_U8, Form_Q8_I8, Form_Q8_PAIRS } from "./quantise";
export { normRows, normQuantiseRows, normOutputs, addNormRows, addRows } from "./norm";
export { gateRows, gateQuantiseRows } from "./gate";
export { storeRows, storeRowsInt8 } from "./rotary";
export { attendRows, forgetStrongest } from "./attention";
export { attendRowsInt8 } from "./attention-int8";
export { embedF32, embedQ8, embedQ4 } from "./embed";
export { measureRows, pressRows, keepLargest } from "./measure";
export { joinRows, scatterRows, gatherRows } from "./rows";
export * from "./records";

/** First byte of memory that the module's own data leaves free. */
export const heapBase: usize = __heap_base;

/** Address of an i32 into which workerd writes 24 when the request's CPU limit is near. */
export const __instance_signal: usize = memory.data(4, 4);
