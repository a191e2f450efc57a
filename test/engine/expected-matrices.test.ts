/**
 * A sink hears of every matrix of a file, as it will come, before any weight: a backend without room refuses there.
 */
import { expect, it } from "vitest";
import { parseConfig } from "../../engine/model/config.ts";
import { readCheckpoint, type MatrixLayout, type WeightSink } from "../../engine/model/checkpoint.ts";
import { weightSpecs } from "../../engine/model/tensors.ts";
import { source, TINY_CONFIG, tinyCheckpoint } from "./files.ts";

const config = parseConfig(TINY_CONFIG);
const matrices = weightSpecs(config).filter(({ kind }) => kind === "matrix");

async function read(sink: WeightSink): Promise<void> {
  const file = tinyCheckpoint();
  await readCheckpoint([{ file: "model.safetensors", source: source(file, file.length) }], config, sink);
}

it("tells a sink of all matrices, with their shapes, before the first tensor", async () => {
  const heard: string[] = [];
  let expected: ReadonlyMap<string, MatrixLayout> = new Map();
  const writer = { write: () => undefined, done: () => undefined };
  const take = (name: string): typeof writer => {
    heard.push(name);
    return writer;
  };
  await read({
    expect(all) {
      heard.push("expect");
      expected = all;
    },
    matrix: take,
    vector: take,
  });
  expect(heard[0]).toBe("expect");
  expect(heard.filter((name) => name === "expect")).toHaveLength(1);
  expect(new Map(expected)).toEqual(new Map(matrices.map(({ name, shape: [rows, columns] }) => [name, { format: "f32", rows, columns }])));
});

it("reads no weight into a sink that refuses what it hears", async () => {
  const never = (): never => {
    throw new Error("a weight was read");
  };
  const refuse = (): never => {
    throw new Error("no room");
  };
  await expect(read({ expect: refuse, matrix: never, vector: never })).rejects.toThrow("no room");
});
