// Checks custom resources by the schemas of their makers, which @kubernetes-models has.
// Reads a JSON list of objects; prints one of what is wrong. Started in the folder where
// `npm ci` was run.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const INSTALLED = `${process.cwd()}/node_modules/@kubernetes-models`;

const KINDS = {
  "gateway.networking.k8s.io/v1": "gateway-api",
  "keda.sh/v1alpha1": "keda",
  "monitoring.coreos.com/v1": "prometheus-operator",
};

const problems = [];
for (const each of JSON.parse(readFileSync(0, "utf8"))) {
  const where = `${each.kind}/${each.metadata.name}`;
  const path = `${KINDS[each.apiVersion]}/${each.apiVersion}/${each.kind}.js`;
  try {
    const { [each.kind]: Kind } = await import(pathToFileURL(`${INSTALLED}/${path}`));
    new Kind(each).validate();
  } catch (error) {
    problems.push(`${where}: ${error.message}`);
  }
}
console.log(JSON.stringify(problems));
