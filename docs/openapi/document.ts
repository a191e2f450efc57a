/**
 * The OpenAPI document of the HTTP API, made of the schemas and types that the server itself is made of.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { ROOT } from "../../test/imports.ts";
import { PARAMETERS, PATHS } from "./paths.ts";
import { schemas } from "./schemas.ts";

export const FILE = fileURLToPath(new URL("../../openapi.json", import.meta.url));

/** The document of today's sources, as the file has it. */
export function openApi(): string {
  const { version, license } = JSON.parse(readFileSync(`${ROOT}package.json`, "utf8")) as { version: string; license: string };
  const head = {
    openapi: "3.1.0",
    info: {
      title: "Fathom",
      version,
      summary: "Recurrent-depth language models with a compute budget for every request",
      license: { name: license, identifier: license },
    },
    servers: [{ url: ".", description: "Where this document is" }],
    tags: [
      { name: "completions", description: "Text, as OpenAI's API gives it" },
      { name: "decisions", description: "Typed questions answered with probabilities, and vectors" },
      { name: "models", description: "What can be asked" },
      { name: "operations", description: "How the server is" },
    ],
  };
  const components = {
    securitySchemes: { key: { type: "http", scheme: "bearer", description: "Where the deployment asks for keys." } },
    parameters: PARAMETERS,
  };
  return `${opened(head)},"paths":${byLine(PATHS)},"components":${opened(components)},"schemas":${byLine(schemas())}}}\n`;
}

/** JSON of an object to which more is added. */
function opened(value: object): string {
  return JSON.stringify(value).slice(0, -1);
}

/** JSON with a line for each field, so that a change shows as one. */
function byLine(value: object): string {
  return `{\n${Object.entries(value)
    .map(([key, each]) => `${JSON.stringify(key)}:${JSON.stringify(each)}`)
    .join(",\n")}\n}`;
}
