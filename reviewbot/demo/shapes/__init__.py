"""How GitHub writes its things as JSON, field by field as in its OpenAPI description."""
