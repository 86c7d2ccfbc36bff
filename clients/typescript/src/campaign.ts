// Lists the batches of an account, creates one, and follows it until it has no more to do.
//
//     CADENCIA_URL=http://127.0.0.1:8000 CADENCIA_API_KEY=cad_… node src/campaign.ts acc-chile-001

import createClient from "openapi-fetch";
import type { components, paths } from "./schema.d.ts";

type Problem = components["schemas"]["Problem"];
type BatchStatus = components["schemas"]["BatchStatusReply"];

declare const process: { argv: string[]; env: Record<string, string | undefined> };

const api = createClient<paths>({
  baseUrl: process.env["CADENCIA_URL"] ?? "http://127.0.0.1:8000",
  headers: { Authorization: `Bearer ${process.env["CADENCIA_API_KEY"] ?? ""}`, "Accept-Language": "en" },
});

/** What was answered, or an error that a person can act on. */
function orThrow<T>(reply: { data?: T; error?: Problem; response: Response }): T {
  if (reply.data === undefined) {
    throw new Error(`${reply.response.status} ${reply.error?.code}: ${reply.error?.detail}`);
  }
  return reply.data;
}

async function listBatches(account_id: string): Promise<void> {
  const reply = await api.GET("/api/v1/batches", { params: { query: { account_id, limit: 5 } } });
  for (const batch of orThrow(reply)) {
    console.log(`${batch.batch_id}  ${batch.status}  ${batch.completed_jobs}/${batch.total_jobs}  ${batch.name}`);
  }
  console.log(`${reply.response.headers.get("X-Total-Count")} in all`);
}

async function createBatch(account_id: string): Promise<string> {
  const reply = await api.POST("/api/v1/batches", {
    // The same key with the same body creates nothing twice, however often a bad line makes us ask.
    params: { header: { "Idempotency-Key": crypto.randomUUID() } },
    body: {
      account_id,
      name: "Campaña Cobranza Noviembre",
      script_content: "Hola {{nombre}}, le llamo de {{empresa}}...",
      priority: "high",
      budget: 20,
      call_settings: { max_attempts: 2, allowed_hours: { start: "09:00", end: "18:00" } },
      contacts: [{ name: "Juan Pérez", phones: ["+56912345678"], monto_deuda: "50000" }],
    },
  });
  if (reply.error?.code === "account_not_found") {
    throw new Error(`There is no account ${account_id}.`);
  }
  return orThrow(reply).batch_id;
}

/** Looks every five seconds; while nothing has changed the answer is a 304 without a body. */
async function follow(batch_id: string, looks: number): Promise<BatchStatus | undefined> {
  let etag: string | undefined;
  let status: BatchStatus | undefined;
  for (let look = 0; look < looks; look++) {
    const reply = await api.GET("/api/v1/batches/{batch_id}/status", {
      params: { path: { batch_id }, header: etag ? { "If-None-Match": etag } : {} },
    });
    if (reply.response.status !== 304) {
      status = orThrow(reply);
      etag = reply.response.headers.get("ETag") ?? undefined;
      console.log(`${status.status}  ${status.progress_percent} %  ${status.blocked_by?.message ?? ""}`);
      if (status.status === "completed" || status.status === "cancelled") {
        return status;
      }
    }
    if (look + 1 < looks) {
      await new Promise((resolve) => setTimeout(resolve, 5000));
    }
  }
  return status;
}

const [account = "acc-chile-001", looks = "720"] = process.argv.slice(2);
await listBatches(account);
const batch = await createBatch(account);
console.log(`Created ${batch}`);
await follow(batch, Number(looks));
