// Says what is wrong where the Node is too old to run TypeScript files; plain JavaScript, so that it can say so there.
import { existsSync } from "node:fs";

const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 22 || (major === 22 && minor < 18)) {
  const isCheckout = existsSync(new URL("../package-lock.json", import.meta.url));
  console.error(
    `Fathom needs Node 22.18 or newer, this is ${process.versions.node}. ` +
      (isCheckout
        ? "`npm ci` installs one into node_modules/.bin: start through npm scripts or npx " +
          "(if `npm ci --ignore-scripts` was used, run `npm rebuild node`)."
        : "Install one from https://nodejs.org or with a version manager, or add it to this project with `npm install --save-dev node@24` " +
          "and start through npx. A deployed Worker needs no Node."),
  );
  process.exit(1);
}
