/**
 * A model folder that tells how much of its weights has been read, for progress: large models take a while.
 */
import type { ModelFolder } from "../engine/model/folder.ts";
import type { Report } from "./progress.ts";

const MEGABYTE = 1e6;

/** @param report gets megabytes read, and those of all files whose reading has begun */
export function watchedFolder(folder: ModelFolder, report: Report): ModelFolder {
  let [readBytes, allBytes] = [0, 0];
  async function* watched(chunks: AsyncIterable<Uint8Array>, bytes: number): AsyncGenerator<Uint8Array> {
    allBytes += bytes;
    for await (const chunk of chunks) {
      yield chunk;
      readBytes += chunk.length;
      report(Math.round(readBytes / MEGABYTE), Math.round(allBytes / MEGABYTE));
    }
  }
  return {
    ...folder,
    async open(name) {
      const source = await folder.open(name);
      return source && { ...source, open: () => watched(source.open(), source.bytes ?? 0) };
    },
  };
}
