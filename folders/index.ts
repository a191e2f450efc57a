/**
 * Ways to a model folder that need nothing but the web's own interfaces: static assets, R2, URLs, a browser's own storage. On a disk:
 * fathom-edge/node.
 */
export { assetsFolder, type AssetsBinding, type AssetsFolderOptions } from "./assets.ts";
export { canKeepModels, forgetOpfsFolder, opfsFolder, type DownloadProgress, type OpfsFolderOptions } from "./opfs.ts";
export { r2Folder, type BucketBinding } from "./r2.ts";
export { urlFolder, type UrlFolderOptions } from "./url.ts";
export { webFolder, type FoundFile } from "./web-folder.ts";
