/**
 * npm run check:advisories: known advisories of the dependencies that users get. Ends with 0 where there are none, 1 where
 * there are some, 3 where the registry does not say: that is no pass.
 */
import { spawnSync } from "node:child_process";
import { outcomeOf } from "./advisories.ts";

const { stdout, stderr } = spawnSync("npm", ["audit", "--omit=dev", "--json"], { encoding: "utf8", shell: process.platform === "win32" });
const { status, words } = outcomeOf(stdout, stderr);
(status === 0 ? console.log : console.error)(words);
process.exitCode = status;
