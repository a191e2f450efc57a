/**
 * The port's contract over WebGPU, on a device that computes.
 */
import { describeOnDevice } from "../kernels/device.ts";
import { contract } from "./contract.ts";
import { onDevice } from "./implementations.ts";

describeOnDevice("the port, by webgpu", (host) => contract(onDevice("webgpu", () => host.backend())));
