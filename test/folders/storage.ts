/** The origin-private file system of a browser in memory, as far as kept models use it: a file is there once it is closed. */
export class MemoryStorage {
  readonly root = new MemoryDirectory();
  quota = 1e9;

  getDirectory(): Promise<MemoryDirectory> {
    return Promise.resolve(this.root);
  }

  estimate(): Promise<StorageEstimate> {
    return Promise.resolve({ quota: this.quota, usage: this.root.bytes() });
  }

  /** As browsers' own type has it. */
  asManager(): StorageManager {
    return this as unknown as StorageManager;
  }
}

const missing = (): DOMException => new DOMException("not there", "NotFoundError");

export class MemoryDirectory {
  readonly kind = "directory";
  readonly directories = new Map<string, MemoryDirectory>();
  readonly files = new Map<string, Blob>();

  bytes(): number {
    const own = [...this.files.values()].reduce((sum, { size }) => sum + size, 0);
    return [...this.directories.values()].reduce((sum, directory) => sum + directory.bytes(), own);
  }

  async getDirectoryHandle(name: string, { create = false } = {}): Promise<MemoryDirectory> {
    if (!this.directories.has(name) && create) this.directories.set(name, new MemoryDirectory());
    const found = this.directories.get(name);
    if (found === undefined) throw missing();
    return found;
  }

  async getFileHandle(name: string, { create = false } = {}): Promise<object> {
    if (!this.files.has(name) && !create) throw missing();
    return this.#handle(name);
  }

  async removeEntry(name: string): Promise<void> {
    if (!this.files.delete(name) && !this.directories.delete(name)) throw missing();
  }

  async *values(): AsyncGenerator<object> {
    for (const name of this.files.keys()) yield this.#handle(name);
  }

  #handle(name: string): object {
    return {
      kind: "file",
      name,
      getFile: async () => this.files.get(name) ?? new Blob(),
      createWritable: async () => {
        const parts: (string | Uint8Array<ArrayBuffer>)[] = [];
        return {
          write: async (part: string | Uint8Array<ArrayBuffer>) => void parts.push(typeof part === "string" ? part : part.slice()),
          close: async () => void this.files.set(name, new Blob(parts)),
          abort: async () => undefined,
        };
      },
    };
  }
}
