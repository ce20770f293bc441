// Asks a question for every line on standard input, of whichever connection is right at that moment.
//
//   node follow.mjs PROTOS [DIRECTORY]
//
// PROTOS is the directory `protos` of this project: nothing else of it is used. The socket is NEXO_SOCKET, or
// the path that `nexoctl status` prints.
import { realpathSync } from "node:fs";
import { createInterface } from "node:readline";
import grpc from "@grpc/grpc-js";
import loader from "@grpc/proto-loader";

const [protos, directory = "."] = process.argv.slice(2);
const socket = process.env.NEXO_SOCKET ?? `${process.env.XDG_RUNTIME_DIR}/nexo/nexod.sock`;

const definition = loader.loadSync("nexo/connections/v1/workspace.proto", {
  includeDirs: [protos],
  keepCase: true,
  enums: String,
  longs: String,
  defaults: true,
  oneofs: true,
});
const { WorkspaceService } = grpc.loadPackageDefinition(definition).nexo.connections.v1;

let current; // the hand-out, or undefined while there is none
let problem = "nexod is away";
let ready;
const first = new Promise((resolve) => (ready = resolve));

function follow() {
  const service = new WorkspaceService(`unix:${socket}`, grpc.credentials.createInsecure(), {
    "grpc.default_authority": "localhost",
  });
  const stream = service.FollowConnection();
  stream.on("data", (message) => {
    current = message.connection ?? undefined;
    problem = message.problem?.message ?? "";
    // The daemon can tell a person who has not yet followed a switch.
    stream.write({ applied: { revision: message.revision } });
    console.log(current ? `[now ${current.name}]` : `[${problem}]`);
    ready();
  });
  stream.on("error", () => {
    // The last connection stays in use; look again soon.
    service.close();
    setTimeout(follow, 250).unref();
  });
  const client = { name: "node", version: process.version, pid: process.pid, program: "follow.mjs" };
  stream.write({ hello: { client } });
  stream.write({
    subscribe: {
      follower: 1,
      inquiry: {
        workspace: { path: realpathSync(directory) },
        environment_connection: process.env.NEXO_CONNECTION ?? "",
      },
    },
  });
}

// For an OpenAI-compatible endpoint whose key goes into "Authorization".
async function ask(connection, question) {
  const headers = { "content-type": "application/json", authorization: `Bearer ${connection.api_key}` };
  for (const { name, value } of connection.headers) headers[name.toLowerCase()] = value;
  const body = { model: connection.default_model, messages: [{ role: "user", content: question }] };
  const response = await fetch(`${connection.base_url}/chat/completions`, {
    method: "POST",
    headers,
    body: JSON.stringify(body),
  });
  if (!response.ok) return `status ${response.status}`;
  return (await response.json()).choices[0].message.content;
}

follow();
await first;
for await (const question of createInterface({ input: process.stdin })) {
  console.log(current ? await ask(current, question) : problem);
}
process.exit(0);
