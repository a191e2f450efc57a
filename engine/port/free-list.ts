/**
 * Unused stretches of an address space, handed out first fit; those that touch join again. Pure arithmetic on offsets:
 * whose memory it is, and how it grows, is the backend's affair. Not a general allocator: regions are few and large.
 */

interface Gap {
  offset: number;
  bytes: number;
}

export class FreeList {
  /** Gaps by offset, no two touching. */
  readonly #gaps: Gap[] = [];

  /** Takes a stretch; undefined, with nothing changed, where no gap is large enough. */
  take(bytes: number): number | undefined {
    const index = this.#gaps.findIndex((gap) => gap.bytes >= bytes);
    if (index < 0) return undefined;
    const gap = this.#gaps[index]!;
    const { offset } = gap;
    gap.offset += bytes;
    gap.bytes -= bytes;
    if (gap.bytes === 0) this.#gaps.splice(index, 1);
    return offset;
  }

  /** Gives a stretch back, or adds a new one. */
  give(offset: number, bytes: number): void {
    let at = this.#gaps.findIndex((gap) => gap.offset > offset);
    if (at < 0) at = this.#gaps.length;
    this.#gaps.splice(at, 0, { offset, bytes });
    this.#join(at);
    this.#join(at - 1);
  }

  /** Bytes of the gap that ends at `end`; 0 where what lies before it is in use. */
  tail(end: number): number {
    const last = this.#gaps.at(-1);
    return last !== undefined && last.offset + last.bytes === end ? last.bytes : 0;
  }

  /** Takes the gap that ends at `end` off the list: the space ends before it from now on. Returns its bytes. */
  cut(end: number): number {
    const bytes = this.tail(end);
    if (bytes > 0) this.#gaps.pop();
    return bytes;
  }

  /** Joins the gap at `index` with the one after it, where they touch. */
  #join(index: number): void {
    const gap = this.#gaps[index];
    const next = this.#gaps[index + 1];
    if (gap === undefined || next === undefined || gap.offset + gap.bytes !== next.offset) return;
    gap.bytes += next.bytes;
    this.#gaps.splice(index + 1, 1);
  }
}
