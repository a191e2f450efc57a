/**
 * The shipped model's shape, card and calibration, over a backend that each mix makes anew.
 */
import { diskFolder } from "../../cli/files.ts";
import { modelPath } from "../../cli/models.ts";
import { loadModel, type Model } from "../../engine/port/model.ts";
import { SimulatedBackend } from "./backend.ts";
import { SimulatedHost } from "./host.ts";

export function simulatedModel(): Promise<Model> {
  const idle = { weights: {} as never, msPerUnit: () => 0, limitBytes: 0, onServed: () => undefined };
  return loadModel(diskFolder(modelPath("nano")), async (config) => new SimulatedBackend(config, new SimulatedHost(), idle));
}
