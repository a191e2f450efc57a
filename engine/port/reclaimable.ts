/**
 * What a user of a backend keeps for later requests in memory that is not the backend's own, such as vectors of options.
 * It counts against the backend's limit, and gives way before anybody is refused.
 */
export interface Reclaimable {
  /** Under whose name the ledger counts it. */
  readonly owner: string;
  readonly usedBytes: number;
  /** Gives up at least so many bytes, or all that there is. */
  reclaim(bytes: number): void;
}
