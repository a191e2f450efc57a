/**
 * One kernel by itself: buffers by the shader's names, parameters, one dispatch, and what lies in a buffer afterwards.
 */
/// <reference types="@webgpu/types" />
import { Device } from "../../kernels/device.ts";
import { pack, type StructValue } from "../../kernels/pack.ts";
import { assemble, bind, compile, type Constants, type Kernel, type Replacements } from "../../kernels/shader.ts";

export class KernelBench {
  readonly #device: Device;
  readonly #kernel: Kernel;
  readonly #buffers: Record<string, GPUBuffer> = {};

  private constructor(device: Device, kernel: Kernel) {
    this.#device = device;
    this.#kernel = kernel;
  }

  static async open(gpu: GPUDevice, name: string, constants: Constants, replacements?: Replacements): Promise<KernelBench> {
    return new KernelBench(new Device(gpu, Infinity), await compile(gpu, name, assemble(name, constants, replacements)));
  }

  /** Fills a storage buffer. */
  put(name: string, data: Float32Array | Uint32Array | Uint8Array): void {
    this.#buffers[name] = this.#device.storage("results", data.byteLength, name);
    this.#device.write(this.#buffers[name], 0, data);
  }

  /** The uniform, by the names of its fields. */
  params(values: StructValue): void {
    this.#buffers["params"] = this.#device.uniform(pack(this.#kernel.params!, values));
  }

  /** Entries of the row table, by the names of their fields; those left out are 0. */
  rows(...rows: readonly StructValue[]): void {
    const layout = this.#kernel.declarations.struct("Row");
    const zero = Object.fromEntries(layout.fields.map(({ name }) => [name, 0]));
    this.put("rows", Uint32Array.from(rows.flatMap((row) => [...pack(layout, { ...zero, ...row })])));
  }

  /** A constant of the kernel's text. */
  constant(name: string): number {
    return this.#kernel.declarations.constant(name);
  }

  async run(result: string, x: number, y = 1): Promise<Float32Array> {
    const buffer = this.#buffers[result]!;
    const bytes = await this.#device.read([{ buffer, offset: 0, bytes: buffer.size }], (encoder) => {
      const pass = encoder.beginComputePass();
      pass.setPipeline(this.#kernel.pipeline);
      pass.setBindGroup(0, bind(this.#device.gpu, this.#kernel, this.#buffers));
      pass.dispatchWorkgroups(x, y);
      pass.end();
    });
    return new Float32Array(bytes);
  }
}
