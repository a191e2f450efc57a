#!/usr/bin/env node
// The installed command: checks the Node version in a syntax that every Node reads, then starts main.
import { existsSync } from "node:fs";
import "./check-node.mjs";

const built = new URL("../dist/cli/main.js", import.meta.url);
await import(existsSync(built) ? built.href : "./main.ts");
