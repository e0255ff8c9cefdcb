"""Requests of one machine for the tests of the double: bodies of direct PUTs, and a template with the same resources."""
GROUP = "/resourceGroups/rg1"
TAGS = {"azlin:managed": "true", "azlin:region": "eastus"}
RESOURCES = COMPUTE = "2024-07-01"
NETWORK = "2024-01-01"
DISKS = "2024-03-02"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH8v6URMpdI6fI5Yku+iSZySkHjm13ETbLFWI/AJpFAh test"
RULES_TYPE, NETWORK_TYPE, ADDRESS_TYPE, NIC_TYPE, VM_TYPE = (
    "Microsoft.Network/networkSecurityGroups", "Microsoft.Network/virtualNetworks", "Microsoft.Network/publicIPAddresses",
    "Microsoft.Network/networkInterfaces", "Microsoft.Compute/virtualMachines")
DEPLOYMENT = "/providers/Microsoft.Resources/deployments/azlin-%s"


def path(kind, name, group=GROUP):
    return "%s/providers/%s/%s" % (group, kind, name)


def resources(name="vm1", region="eastus", size="Standard_B2s", tags=None, home="", group=GROUP, **vm):
    """[(type, name, api-version, body)] in the order in which they can be made. `home` = "/subscriptions/..."."""
    tags = TAGS if tags is None else tags
    base = {"location": region, "tags": tags}

    def at(kind, suffix):
        return home + path(kind, name + suffix, group)
    rule = {"priority": 1000, "direction": "Inbound", "access": "Allow", "protocol": "Tcp", "sourceAddressPrefix": "*",
            "sourcePortRange": "*", "destinationAddressPrefix": "*", "destinationPortRange": "22"}
    rules = {**base, "properties": {"securityRules": [{"name": "ssh", "properties": rule}]}}
    network = {**base, "properties": {"addressSpace": {"addressPrefixes": ["10.0.0.0/16"]},
                                      "subnets": [{"name": "default", "properties": {"addressPrefix": "10.0.0.0/24"}}]}}
    address = {**base, "sku": {"name": "Standard"}, "properties": {"publicIPAllocationMethod": "Static"}}
    nic = {**base, "properties": {
        "networkSecurityGroup": {"id": at(RULES_TYPE, "-nsg")},
        "ipConfigurations": [{"name": "ipconfig1", "properties": {
            "subnet": {"id": at(NETWORK_TYPE, "-vnet") + "/subnets/default"},
            "publicIPAddress": {"id": at(ADDRESS_TYPE, "-pip"), "properties": {"deleteOption": "Delete"}}}}]}}
    machine = {**base, **vm, "properties": {
        "hardwareProfile": {"vmSize": size},
        "storageProfile": {
            "imageReference": {"publisher": "Canonical", "offer": "0001-com-ubuntu-server-jammy", "sku": "22_04-lts-gen2",
                               "version": "latest"},
            "osDisk": {"name": name + "-osdisk", "createOption": "FromImage", "deleteOption": "Delete",
                       "managedDisk": {"storageAccountType": "StandardSSD_LRS"}}},
        "osProfile": {"computerName": name, "adminUsername": "azureuser", "customData": "I2Nsb3VkLWNvbmZpZwo=",
                      "linuxConfiguration": {"disablePasswordAuthentication": True, "ssh": {"publicKeys": [
                          {"path": "/home/azureuser/.ssh/authorized_keys", "keyData": KEY}]}}},
        "networkProfile": {"networkInterfaces": [
            {"id": at(NIC_TYPE, "-nic"), "properties": {"primary": True, "deleteOption": "Delete"}}]}}}
    return [(RULES_TYPE, name + "-nsg", NETWORK, rules), (NETWORK_TYPE, name + "-vnet", NETWORK, network),
            (ADDRESS_TYPE, name + "-pip", NETWORK, address), (NIC_TYPE, name + "-nic", NETWORK, nic),
            (VM_TYPE, name, COMPUTE, machine)]


def deployment(name="vm1", group=GROUP, **options):
    """The body of the PUT of a deployment that makes the same machine."""
    group_id = "[resourceGroup().id]"
    made = []
    for kind, own, version, body in resources(name, home="HOME", group=group, **options):
        made.append({"type": kind, "name": own, "apiVersion": version, **body})

    def with_ids(value):
        if isinstance(value, str) and value.startswith("HOME"):
            rest = value[len("HOME" + group):]
            return "[concat(resourceGroup().id, '%s')]" % rest
        if isinstance(value, dict):
            return {k: with_ids(v) for k, v in value.items()}
        return [with_ids(v) for v in value] if isinstance(value, list) else value
    made = [with_ids(m) for m in made]
    made[3]["dependsOn"] = ["[resourceId('%s', '%s-nsg')]" % (RULES_TYPE, name), name + "-vnet",
                            ADDRESS_TYPE + "/%s-pip" % name]
    made[4]["dependsOn"] = ["[resourceId('%s', concat(parameters('name'), '-nic'))]" % NIC_TYPE]
    made[4]["properties"]["osProfile"]["linuxConfiguration"]["ssh"]["publicKeys"][0]["keyData"] = "[parameters('key')]"
    template = {
        "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
        "contentVersion": "1.0.0.0", "parameters": {"key": {"type": "securestring"}, "name": {"type": "string"}},
        "resources": made,
        "outputs": {
            "ip": {"type": "string",
                   "value": "[reference(resourceId('%s', '%s-pip'), '%s').ipAddress]" % (ADDRESS_TYPE, name, NETWORK)},
            "group": {"type": "string", "value": group_id}}}
    return {"properties": {"mode": "Incremental", "template": template,
                           "parameters": {"key": {"value": KEY}, "name": {"value": name}}}}


def make_group(double, group=GROUP, region="eastus"):
    reply = double.arm("PUT", group, RESOURCES, {"location": region, "tags": TAGS})
    assert reply.status in (200, 201), reply


def deploy(double, name="vm1", group=GROUP, **options):
    """The last answer of the poll; the group is made when it is missing."""
    if double.arm("HEAD", group, RESOURCES).status == 404:
        make_group(double, group, options.get("region", "eastus"))
    reply = double.arm("PUT", group + DEPLOYMENT % name, RESOURCES, deployment(name, group, **options))
    return double.settle(reply) if reply.status in (200, 201) else reply
