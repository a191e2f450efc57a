/**
 * npm's prepare: what a checkout needs to run, and dist/ besides where the package is being installed from git, which has
 * none. npm marks that by a variable; other package managers do not, so they get both.
 */
import { execSync } from "node:child_process";

const { npm_config_user_agent: agent = "", _PACOTE_NO_PREPARE_: fromGit } = process.env;
const isCheckout = agent.startsWith("npm/") && fromGit === undefined;
execSync(`npm run --silent ${isCheckout ? "generate" : "build"}`, { stdio: "inherit" });
