#!/usr/bin/env python3
"""Extracts from Microsoft's OpenAPI files what the ARM double checks of requests: tests/azure/rules/arm-rules.json.

usage: tools/extract-arm-rules.py ARM_SPEC_DIR [OUTPUT]

Run by developers when an api-version or an operation is added; the build only reads the output. Answers are left out
but for their status codes: what is checked is what a client sends."""
import json, os, re, sys

API = {  # folder below specification/ -> operations that azlin may use ("Group_*" = all of a group)
    "compute/resource-manager/Microsoft.Compute/ComputeRP/stable/2024-07-01/virtualMachine.json":
        "ListByLocation CreateOrUpdate Update Delete Get InstanceView Deallocate List ListAll ListAvailableSizes PowerOff "
        "Restart Start Redeploy RetrieveBootDiagnosticsData",
    "compute/resource-manager/Microsoft.Compute/ComputeRP/stable/2024-07-01/computeRPCommon.json": "List",
    "compute/resource-manager/Microsoft.Compute/ComputeRP/stable/2024-07-01/virtualMachineImage.json": "List ListSkus Get",
    "compute/resource-manager/Microsoft.Compute/ComputeRP/stable/2024-07-01/runCommand.json": "RunCommand",
    "compute/resource-manager/Microsoft.Compute/DiskRP/stable/2024-03-02/disk.json":
        "CreateOrUpdate Update Get Delete ListByResourceGroup List",
    "compute/resource-manager/Microsoft.Compute/Skus/stable/2021-07-01/skus.json": "List",
    "network/resource-manager/Microsoft.Network/stable/2024-01-01/networkInterface.json":
        "CreateOrUpdate UpdateTags Get Delete List ListAll",
    "network/resource-manager/Microsoft.Network/stable/2024-01-01/networkSecurityGroup.json":
        "CreateOrUpdate UpdateTags Get Delete List ListAll",
    "network/resource-manager/Microsoft.Network/stable/2024-01-01/publicIpAddress.json":
        "CreateOrUpdate UpdateTags Get Delete List ListAll",
    "network/resource-manager/Microsoft.Network/stable/2024-01-01/virtualNetwork.json":
        "CreateOrUpdate UpdateTags Get Delete List ListAll",
    "network/resource-manager/Microsoft.Network/stable/2024-01-01/usage.json": "List",
    "resources/resource-manager/Microsoft.Resources/stable/2024-07-01/resources.json":
        "CheckExistence CreateOrUpdate Update Delete Get List ListByResourceGroup Cancel Validate Register "
        "CreateOrUpdateAtScope UpdateAtScope GetAtScope DeleteAtScope",
    "resources/resource-manager/Microsoft.Resources/stable/2022-12-01/subscriptions.json": "ListLocations Get List",
}
GROUPS = set("VirtualMachines Usage VirtualMachineSizes VirtualMachineImages Disks ResourceSkus NetworkInterfaces "
             "NetworkSecurityGroups SecurityRules PublicIPAddresses VirtualNetworks Subnets Usages Deployments "
             "DeploymentOperations Providers Resources ResourceGroups Tags Subscriptions".split())
# Resources_* by id would let any PUT pass; tags and deployments of other scopes than ours are not for us either.
UNWANTED = re.compile(r"^(Resources_(CheckExistence|CreateOrUpdate|Update|Delete|Get)$|Deployments_.*AtScope$|"
                      r"DeploymentOperations_GetAtScope$|Tags_(List|CreateOrUpdate|Delete)$)")
# Nearly all enums of Azure are open by declaration; we hold them closed to see typing errors, but for these, whose list
# is years behind what is offered.
OPEN_ENUMS = ("vmSize",)
KEPT = ("type", "enum", "pattern", "minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems", "format")


class Files:
    """The OpenAPI files, each read once; references between them are followed from here."""

    def __init__(self, root):
        self.root, self.read = os.path.abspath(root), {}

    def get(self, path):
        if path not in self.read:
            with open(path, encoding="utf-8-sig") as f:
                self.read[path] = json.load(f)
        return self.read[path]

    def follow(self, node, path):
        """(node, path, name) behind a $ref chain; name = the last definition's, "" = it was written in place."""
        name = ""
        while "$ref" in node:
            target, _, pointer = node["$ref"].partition("#")
            if target:
                path = os.path.normpath(os.path.join(os.path.dirname(path), target))
            node = self.get(path)
            for part in pointer.strip("/").split("/"):
                node = node[part.replace("~1", "/").replace("~0", "~")]
            name = pointer.rsplit("/", 1)[-1]
        return node, path, name


class Schemas:
    """Schemas of request bodies, shared by name."""

    def __init__(self, files):
        self.files, self.known, self.out = files, {}, {}

    def name(self, path, name):
        key = (path, name)
        if key not in self.known:
            taken = set(self.known.values())
            stem = os.path.basename(path)[:-len(".json")]
            self.known[key] = name if name not in taken else "%s.%s" % (stem, name)
            target, where, _ = self.files.follow({"$ref": "#/definitions/" + name}, path)
            self.out[self.known[key]] = None  # a recursive schema must find its name taken
            self.out[self.known[key]] = self.compact(target, where)
        return self.known[key]

    def reference(self, node, path):
        if node.get("readOnly"):
            return {"readOnly": True}
        target, where, name = self.files.follow(node, path)
        if target.get("readOnly"):
            return {"readOnly": True}
        if name and (target.get("properties") or target.get("allOf") or target.get("type") == "object"):
            return {"$ref": self.name(where, name)}
        return self.compact(target, where)

    def compact(self, node, path):
        if "discriminator" in node:
            raise SystemExit("%s: discriminator %s is not supported" % (path, node["discriminator"]))
        out = {k: node[k] for k in KEPT if k in node}
        properties, required, extra = self.members(node, path)
        if properties or extra is not None:
            out["type"] = "object"
        if properties:
            out["properties"] = properties
        wanted = sorted(k for k in required if not properties.get(k, {}).get("readOnly"))
        if wanted:
            out["required"] = wanted
        if extra is not None:
            out["additionalProperties"] = extra
        if "items" in node:
            out["items"] = self.reference(node["items"], path)
        return out

    def members(self, node, path):
        """Properties, required names and the schema of further properties, over allOf."""
        properties, required, extra = {}, set(node.get("required", [])), None
        for part in node.get("allOf", []):
            target, where, _ = self.files.follow(part, path)
            more, names, others = self.members(target, where)
            properties.update(more)
            required |= names
            extra = others if others is not None else extra
        for name, child in node.get("properties", {}).items():
            properties[name] = self.reference(child, path)
            if name in OPEN_ENUMS:
                properties[name].pop("enum", None)
        if isinstance(node.get("additionalProperties"), dict):
            extra = self.reference(node["additionalProperties"], path)
        elif node.get("additionalProperties"):
            extra = {}
        return properties, required, extra


def parameters(files, schemas, item, operation, path):
    """{"segments": .., "query": .., "body": ..} of one operation."""
    out = {"segments": {}, "query": {}}
    for parameter in item.get("parameters", []) + operation.get("parameters", []):
        node, where, _ = files.follow(parameter, path)
        rules = {k: node[k] for k in KEPT + ("required",) if k in node}
        if node["in"] == "body":
            out["body"] = {"required": bool(node.get("required")), "schema": schemas.reference(node["schema"], where)}
        elif node["in"] == "query" and node["name"] != "api-version":
            out["query"][node["name"]] = rules
        elif node["in"] == "path":
            rules.pop("required", None)
            out["segments"][node["name"]] = rules
    return out


def wanted(operation_id, names):
    group, _, name = operation_id.partition("_")
    return group in GROUPS and name in names and not UNWANTED.match(operation_id)


def extract(root):
    files = Files(root)
    schemas, operations = Schemas(files), []
    for relative, names in API.items():
        path = os.path.join(files.root, "specification", relative)
        document = files.get(path)
        for template, item in [*document.get("paths", {}).items(), *document.get("x-ms-paths", {}).items()]:
            for method, operation in item.items():
                if method == "parameters" or not wanted(operation.get("operationId", ""), names.split()):
                    continue
                operations.append({
                    "id": operation["operationId"], "method": method.upper(), "path": template.split("?")[0],
                    "version": document["info"]["version"],
                    **parameters(files, schemas, item, operation, path),
                    "statuses": sorted(int(s) for s in operation["responses"] if s.isdigit() and int(s) < 400)})
    return {"operations": operations, "schemas": schemas.out}


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    output = sys.argv[2] if len(sys.argv) > 2 else os.path.join(here, "tests", "azure", "rules", "arm-rules.json")
    rules = extract(sys.argv[1])
    lines = ['{"operations": [']
    lines += [",\n".join(json.dumps(o, sort_keys=True) for o in rules["operations"]), '], "schemas": {']
    lines += [",\n".join("%s: %s" % (json.dumps(k), json.dumps(v, sort_keys=True))
                         for k, v in sorted(rules["schemas"].items())), "}}"]
    with open(output, "w", encoding="utf-8") as f:
        f.write("\n".join(lines) + "\n")
    print("%d operations, %d schemas, %d bytes" % (len(rules["operations"]), len(rules["schemas"]), os.path.getsize(output)))


if __name__ == "__main__":
    main()
