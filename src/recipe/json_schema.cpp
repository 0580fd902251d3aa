// SPDX-License-Identifier: GPL-3.0-or-later
// The JSON Schema (draft 2020-12) of a recipe. A value may also hold ${parameter}, which only
// goldmill can check: every restricted text says so.
#include <goldmill/recipe/load.hpp>

#include "schema.hpp"

namespace goldmill::recipe {

namespace {

using Ordered = nlohmann::ordered_json;

Ordered schema_of(const Value& value);

Ordered or_parameter(Ordered schema) {
  return {{"anyOf", {std::move(schema), {{"type", "string"}, {"pattern", "\\$\\{"}}}}};
}

Ordered text_schema(const Value& value) {
  if (!value.allowed.empty()) {
    return or_parameter({{"enum", value.allowed}});
  }
  Ordered schema = {{"type", "string"}};
  if (value.bare_numbers) {
    schema["type"] = {"string", "number"};
  }
  if (value.shape != nullptr) {
    schema["pattern"] = "^(" + value.shape->pattern + ")$|\\$\\{";
  }
  return schema;
}

Ordered map_schema(const Value& value) {
  Ordered schema = {{"type", "object"}, {"properties", Ordered::object()}};
  Ordered required = Ordered::array();
  for (const Field& field : value.fields) {
    Ordered property = {{"description", field.doc}};
    if (!field.standard.empty()) {
      property["description"] = field.doc + " Default: " + field.standard + ".";
    }
    property.update(schema_of(field.value));
    schema["properties"][field.key] = std::move(property);
    if (field.required) {
      required.push_back(field.key);
    }
  }
  schema["additionalProperties"] = false;
  if (!required.empty()) {
    schema["required"] = std::move(required);
  }
  if (value.type == Type::step) {
    schema["minProperties"] = 1;
    schema["maxProperties"] = 1;
  }
  for (const std::string& key : value.one_of) {
    schema["oneOf"].push_back({{"required", {key}}});
  }
  return schema;
}

Ordered schema_of(const Value& value) {
  switch (value.type) {
    case Type::text:
      return text_schema(value);
    case Type::boolean:
      return or_parameter({{"type", "boolean"}});
    case Type::integer:
      return or_parameter({{"type", "integer"}, {"minimum", value.least}, {"maximum", value.most}});
    case Type::size:
      return {{"type", "string"}, {"pattern", "^[0-9]+(\\.[0-9]+)? ?([kMGT]B|[KMGT]iB|B)$|\\$\\{"}};
    case Type::list:
      return {{"type", "array"}, {"items", schema_of(*value.item)}};
    case Type::dictionary: {
      Ordered schema = {{"type", "object"}, {"additionalProperties", schema_of(*value.item)}};
      if (value.shape != nullptr) {
        schema["propertyNames"] = {{"pattern", "^(" + value.shape->pattern + ")$"}};
      }
      return schema;
    }
    case Type::map:
    case Type::step:
      if (!value.short_form.empty()) {
        return {{"anyOf", {schema_of(*value_at(value, value.short_form)), map_schema(value)}}};
      }
      return map_schema(value);
    case Type::anything:
      return Ordered::object();
  }
  return Ordered::object();
}

}  // namespace

std::string json_schema() {
  Ordered schema = {{"$schema", "https://json-schema.org/draft/2020-12/schema"},
                    {"title", "goldmill recipe"}};
  schema.update(schema_of(recipe_schema()));
  return schema.dump(2) + "\n";
}

}  // namespace goldmill::recipe
