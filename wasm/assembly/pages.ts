/**
 * Reading weights ahead, page by page: as one begins, a word of the next one is read, so that its address is looked up and the
 * processor's own reading ahead, which ends with a page, begins there in time. For one row of x. From memory on Zen 4, in turn
 * over the same pages: q4 20 to 22 GB/s where without were 13 to 21, q8 20 to 22 for 16 to 18, f32 25 to 26 for 18. Not for
 * q4 without relaxed SIMD, which arithmetic limits, nor for single-instruction dots, where nobody has measured it.
 */

/** Bytes of a page on x86, where the system gives no larger ones. */
const PAGE_BYTES: usize = 4096;

/**
 * Opens the page behind that of `w`, where it lies within the weights. Its word goes to `y`, which is written over in the end, so
 * that no compiler leaves its load out.
 * @returns where that page begins
 */
// @ts-ignore: decorator
@inline
export function openNextPage(w: usize, weightsEnd: usize, y: usize): usize {
  const page = (w | (PAGE_BYTES - 1)) + 1;
  if (page + PAGE_BYTES <= weightsEnd) store<i32>(y, load<i32>(page, PAGE_BYTES / 2));
  return page;
}
