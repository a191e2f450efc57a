/**
 * The app's routes as a schema of types for Hono's client. Types alone; the routes themselves are in app.ts.
 */
import type { DecisionsBody, DecisionsObject, EmbeddingsBody, EmbeddingsObject, SystemOneBody, SystemOneObject } from "./wire-decisions.ts";
import type {
  ChatBody,
  ChatObject,
  ErrorObject,
  HealthObject,
  ModelCardObject,
  ModelListObject,
  TextBody,
  TextObject,
} from "./wire-types.ts";

type Endpoint<Input, Output> =
  | { input: Input; output: Output; outputFormat: "json"; status: 200 }
  | { input: Input; output: ErrorObject; outputFormat: "json"; status: 400 | 401 | 403 | 404 | 413 | 415 | 422 | 429 | 500 | 503 };

/**
 * The routes of `createApp`, for Hono's client: `hc<AppType>(url)` where `AppType` is the type of an app that has mounted
 * them, or of `createApp(...)` itself. Streams are read from the response's body.
 */
export type FathomSchema = {
  "/v1/chat/completions": { $post: Endpoint<{ json: ChatBody }, ChatObject> };
  "/v1/completions": { $post: Endpoint<{ json: TextBody }, TextObject> };
  "/v1/embeddings": { $post: Endpoint<{ json: EmbeddingsBody }, EmbeddingsObject> };
  "/v1/decisions": { $post: Endpoint<{ json: DecisionsBody }, DecisionsObject> };
  "/v1/systemone": { $post: Endpoint<{ json: SystemOneBody }, SystemOneObject> };
  "/v1/models": { $get: Endpoint<{}, ModelListObject> };
  "/v1/models/:id": { $get: Endpoint<{ param: { id: string } }, ModelCardObject> };
  "/health": { $get: { input: {}; output: HealthObject; outputFormat: "json"; status: 200 } };
  "/ready": { $get: { input: {}; output: HealthObject; outputFormat: "json"; status: 200 | 503 } };
};
