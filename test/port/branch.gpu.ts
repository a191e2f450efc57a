/**
 * Branches over WebGPU, on a device that computes.
 */
import { describeOnDevice } from "../kernels/device.ts";
import { branches } from "./branch.ts";
import { onDevice } from "./implementations.ts";

describeOnDevice("branches, by webgpu", (host) =>
  branches(
    onDevice("webgpu", () => host.backend()),
    ["full", "latest-m2", "always-last-m2", "randomized", "latest-m2-compress-s2"],
  ),
);
