"""Envoy's filters that route a gRPC call by its request, which names the venue or the process.

One reads the field from the request, the other makes it the header by which routes are matched. A
call over REST has its route already, by its path.
"""

import base64
from typing import Any

from gateway.service_contracts import ADDRESSES, ContractSet

FIELDS = "fields"
FIELDS_TYPE = (
    "type.googleapis.com/"
    "envoy.extensions.filters.http.grpc_field_extraction.v3.GrpcFieldExtractionConfig"
)

Json = dict[str, Any]


def fields(contracts: ContractSet) -> Json:
    """The filter that reads the field, as Envoy reads it by discovery."""
    methods: Json = {
        f"{contract.name}.{method.name}": {
            "request_field_extractions": {contract.address.field: {}}
        }
        for contract in contracts.services
        if contract.address is not None
        for method in contract.methods
    }
    descriptor = base64.b64encode(contracts.transcoder_descriptors).decode()
    return {
        "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
        "name": FIELDS,
        "typed_config": {
            "@type": FIELDS_TYPE,
            "descriptor_set": {"inline_bytes": descriptor},
            "extractions_by_method": methods,
        },
    }


def header_script() -> str:
    """Lua. The request decides: a header that names another process is replaced. Envoy chooses the
    route again when a header has changed."""
    headers = {address.field: address.header for address in ADDRESSES.values()}
    table = ", ".join(f'{field} = "{header}"' for field, header in sorted(headers.items()))
    return f"""
function envoy_on_request(call)
  local headers = call:headers()
  if headers:get("x-envoy-original-path") then return end
  local found = call:streamInfo():dynamicMetadata():get("envoy.filters.http.grpc_field_extraction")
  if found == nil then return end
  for field, header in pairs({{ {table} }}) do
    local named = found[field] and found[field][1]
    if named and named ~= "" and named ~= headers:get(header) then
      headers:replace(header, named)
    end
  end
end
"""
