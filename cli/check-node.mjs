// Says what is wrong where the Node is too old to run TypeScript files; plain JavaScript, so that it can say so there.
const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 22 || (major === 22 && minor < 18)) {
  console.error(
    `Fathom needs Node 22.18 or newer, this is ${process.versions.node}. ` +
      "`npm ci` installs one into node_modules/.bin: start through npm scripts or npx " +
      "(if `npm ci --ignore-scripts` was used, run `npm rebuild node`).",
  );
  process.exit(1);
}
