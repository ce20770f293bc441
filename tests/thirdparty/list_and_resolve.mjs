// A program in another language, with nothing of ours but the .proto files: lists, resolves, follows a switch.
//   node list_and_resolve.mjs PROTOS_DIRECTORY SOCKET NAME_TO_SWITCH_TO
// Prints one JSON object.
import grpc from "@grpc/grpc-js";
import loader from "@grpc/proto-loader";

const [protos, socket, switchTo] = process.argv.slice(2);
const files = ["connection", "workspace", "health", "daemon"].map((name) => `nexo/connections/v1/${name}.proto`);
const options = { includeDirs: [protos], keepCase: true, enums: String, longs: String, defaults: true, oneofs: true };
const definition = loader.loadSync(files, options);
const { nexo } = grpc.loadPackageDefinition(definition);
const api = nexo.connections.v1;

const make = (Service) =>
  new Service(`unix:${socket}`, grpc.credentials.createInsecure(), { "grpc.default_authority": "localhost" });
const connections = make(api.ConnectionService);
const workspaces = make(api.WorkspaceService);
const daemon = make(api.DaemonService);

const call = (client, method, request) =>
  new Promise((resolve, reject) => {
    const deadline = new Date(Date.now() + 20_000);
    client[method](request, { deadline }, (error, response) => (error ? reject(error) : resolve(response)));
  });

const client = { name: "node", version: process.version, pid: process.pid, program: "list_and_resolve.mjs" };
const listed = await call(connections, "ListConnections", {});
const { connection } = await call(workspaces, "ResolveConnection", { inquiry: {}, client });
const { status } = await call(daemon, "GetStatus", {});

const followed = await new Promise((resolve, reject) => {
  const names = [];
  const stream = workspaces.FollowConnection({ deadline: new Date(Date.now() + 20_000) });
  stream.on("error", (error) => (names.length > 1 ? undefined : reject(error)));
  stream.on("data", (state) => {
    names.push(state.connection.name);
    stream.write({ applied: { revision: state.revision } });
    if (names.length === 1) call(connections, "SetDefaultConnection", { name: switchTo }).catch(reject);
    if (names.length === 2) {
      resolve(names);
      stream.end();
    }
  });
  stream.write({ hello: { client } });
  stream.write({ subscribe: { follower: 1, inquiry: {} } });
});

let failure;
try {
  await call(connections, "GetConnection", { name: "nobody" });
} catch (error) {
  failure = { code: error.code, details: error.metadata.get("grpc-status-details-bin").length };
}

console.log(
  JSON.stringify({
    listed: listed.connections.map((one) => [one.name, one.provider]),
    leaked: JSON.stringify(listed).includes(connection.api_key),
    resolved: [connection.name, connection.base_url, connection.api_key, connection.source],
    pid: status.pid,
    followed,
    failure,
  }),
);
for (const open of [connections, workspaces, daemon]) open.close();
