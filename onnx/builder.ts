/**
 * A graph in the making: nodes in order, constants by name. Operators are one call each and return the name of their
 * result; a constant of equal content is kept once.
 */
import type { Attribute, OnnxGraph, OnnxNode, OnnxTensor } from "./encode.ts";
import type { Signature } from "./signature.ts";

export class GraphBuilder {
  readonly #nodes: OnnxNode[] = [];
  readonly #constants = new Map<string, OnnxTensor>();
  readonly #scalars = new Map<string, string>();
  #temporaries = 0;

  /** Adds a weight, under the name that the checkpoint has for it. */
  weight(name: string, tensor: OnnxTensor): string {
    this.#constants.set(name, tensor);
    return name;
  }

  /** Whole numbers: a shape or a list of sizes. */
  sizes(...values: number[]): string {
    return this.#small(`sizes ${values.join(" ")}`, {
      type: "int64",
      shape: [values.length],
      data: BigInt64Array.from(values, BigInt),
    });
  }

  scalar(value: number): string {
    return this.#small(`scalar ${value}`, { type: "float32", shape: [], data: Float32Array.of(value) });
  }

  /** A node with one result, of the name given or a fresh one. */
  add(
    operator: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, Attribute>> = {},
    result = this.#fresh(operator),
  ): string {
    this.#nodes.push({ operator, inputs, outputs: [result], attributes });
    return result;
  }

  /** Cuts x along an axis into parts of the given sizes. */
  split(x: string, axis: number, sizes: readonly number[], results: readonly string[] = sizes.map(() => this.#fresh("Split"))): string[] {
    this.#nodes.push({ operator: "Split", inputs: [x, this.sizes(...sizes)], outputs: results, attributes: { axis } });
    return [...results];
  }

  /** Size 0 keeps that of x. */
  reshape(x: string, shape: readonly number[], result?: string): string {
    return this.add("Reshape", [x, this.sizes(...shape)], {}, result);
  }

  finish(name: string, description: string, signature: Signature): OnnxGraph {
    return { name, description, ...signature, constants: this.#constants, nodes: this.#nodes };
  }

  #small(content: string, tensor: OnnxTensor): string {
    const name = this.#scalars.get(content) ?? content.replaceAll(" ", "_");
    this.#scalars.set(content, name);
    this.#constants.set(name, tensor);
    return name;
  }

  #fresh(operator: string): string {
    return `${operator}_${this.#temporaries++}`;
  }
}
