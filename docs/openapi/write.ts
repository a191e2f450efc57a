/** npm run docs:openapi: writes openapi.json. */
import { writeFileSync } from "node:fs";
import { FILE, openApi } from "./document.ts";

writeFileSync(FILE, openApi());
