/** What wrangler.jsonc and its secrets give to the Worker. */
declare namespace Cloudflare {
  interface Env {
    /** The folder assets/, with the model's files. */
    readonly ASSETS: Fetcher;
    /** Bearer keys, separated by commas. */
    readonly API_KEYS?: string;
  }
}
