/**
 * The plain f32 backend in TypeScript: the oracle of all others.
 */
export { createReferenceBackend } from "./backend.ts";
