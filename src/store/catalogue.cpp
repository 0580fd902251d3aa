// SPDX-License-Identifier: GPL-3.0-or-later
#include <chrono>
#include <sstream>

#include <goldmill/base/suggestion.hpp>
#include <goldmill/store/catalogue.hpp>

#include "database.hpp"

namespace goldmill::store {

struct Catalogue::Database : public store::Database {
  explicit Database(store::Database&& base) : store::Database(std::move(base)) {}
};

namespace {

constexpr std::int64_t kSchemaVersion = 3;  // 2: claims; 3: layer_blobs, contents

constexpr const char* kTables[] = {
    "CREATE TABLE IF NOT EXISTS steps ("
    " key TEXT PRIMARY KEY, image TEXT NOT NULL, name TEXT NOT NULL, kind TEXT NOT NULL,"
    " layer TEXT, description TEXT NOT NULL, result TEXT NOT NULL, seconds REAL NOT NULL,"
    " created INTEGER NOT NULL) STRICT",
    "CREATE INDEX IF NOT EXISTS steps_by_image ON steps (image, name, created)",
    "CREATE TABLE IF NOT EXISTS images ("
    " name TEXT NOT NULL, version INTEGER NOT NULL, digest TEXT NOT NULL,"
    " disk_digest TEXT NOT NULL, parent TEXT, config TEXT NOT NULL, details TEXT NOT NULL,"
    " created INTEGER NOT NULL, PRIMARY KEY (name, version), UNIQUE (name, digest)) STRICT",
    // A version number is never given twice, even after its image was removed.
    "CREATE TABLE IF NOT EXISTS versions (name TEXT PRIMARY KEY, newest INTEGER NOT NULL) STRICT",
    "CREATE TABLE IF NOT EXISTS channels ("
    " name TEXT NOT NULL, channel TEXT NOT NULL, version INTEGER NOT NULL,"
    " PRIMARY KEY (name, channel)) STRICT",
    "CREATE TABLE IF NOT EXISTS claims ("
    " owner TEXT NOT NULL, object TEXT NOT NULL, PRIMARY KEY (owner, object)) STRICT",
    "CREATE TABLE IF NOT EXISTS layer_blobs ("
    " layer TEXT PRIMARY KEY, blob TEXT NOT NULL, size INTEGER NOT NULL,"
    " compression TEXT NOT NULL) STRICT",
    "CREATE TABLE IF NOT EXISTS contents ("
    " object TEXT PRIMARY KEY, digest TEXT NOT NULL) STRICT",
};

std::int64_t now() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

Result<void> make_tables(store::Database& database) {
  for (const char* table : kTables) {
    TRY(database.run(table));
  }
  return database.run("PRAGMA user_version = " + std::to_string(kSchemaVersion));
}

/// Among a record or details: SQLite notices no byte that changed within a text.
constexpr const char* kChecksum = "checksum";

constexpr const char* kStepColumns =
    "SELECT key, image, name, kind, layer, description, result, seconds, created, rowid FROM "
    "steps ";

/// With its checksum among the record.
Result<StepRecord> whole_step_of(const Row& row) {
  StepRecord step;
  step.key = TRY(Digest::parse(row.text(0)));
  step.image = row.text(1);
  step.name = row.text(2);
  step.kind = row.text(3);
  if (!row.is_null(4)) {
    step.layer = TRY(Digest::parse(row.text(4)));
  }
  step.record = TRY(parse_json(row.text(5), "a step's record"));
  step.result = TRY(parse_json(row.text(6), "a step's result"));
  step.seconds = row.real(7);
  step.created = row.integer(8);
  if (!step.record.is_object()) {
    return Error{ErrorKind::corrupt, "a step's record is no object"};
  }
  return step;
}

Result<StepRecord> step_of(const Row& row) {
  auto step = whole_step_of(row);
  if (!step) {
    step.error().hint = "`goldmill check --repair` forgets it, and it runs again";
    return step;
  }
  step->record.erase(kChecksum);
  return step;
}

constexpr const char* kImageColumns =
    "SELECT name, version, digest, disk_digest, config, details, created, parent FROM images ";

/// Whatever it says.
Result<ImageRecord> written_image_of(const Row& row) {
  ImageRecord image;
  image.name = row.text(0);
  image.version = static_cast<int>(row.integer(1));
  image.digest = TRY(Digest::parse(row.text(2)));
  image.disk_digest = TRY(Digest::parse(row.text(3)));
  image.config = TRY(parse_json(row.text(4), "an image's config"));
  image.details = TRY(parse_json(row.text(5), "an image's details"));
  image.created = row.integer(6);
  return image;
}

/// As the row says but for the config, which tells the digest.
Result<ImageRecord> image_with(const Row& row, const std::string& config) {
  ImageRecord image;
  image.name = row.text(0);
  image.version = static_cast<int>(row.integer(1));
  image.digest = sha256(config);
  image.disk_digest = TRY(Digest::parse(row.text(3)));
  image.config = TRY(parse_json(config, "an image's config"));
  image.details = TRY(parse_json(row.text(5), "an image's details"));
  return image;
}

std::string dump(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

/// Of all that builds rely on.
std::string checksum_of(const StepRecord& step) {
  Json record = step.record;
  record.erase(kChecksum);
  return sha256(step.key.hex() + "\n" + step.image + "\n" + step.name + "\n" + step.kind + "\n" +
                (step.layer ? step.layer->hex() : "") + "\n" + dump(record) + "\n" +
                dump(step.result))
      .hex();
}

/// For the row.
std::string record_of(const StepRecord& step) {
  Json record = step.record;
  record[kChecksum] = checksum_of(step);
  return dump(record);
}

/// Of all that is kept of an image.
std::string checksum_of(const ImageRecord& image) {
  Json details = image.details;
  details.erase(kChecksum);
  return sha256(image.reference() + "\n" + image.digest.hex() + "\n" + image.disk_digest.hex() +
                "\n" + dump(image.config) + "\n" + dump(details))
      .hex();
}

/// What an earlier goldmill wrote has none.
bool is_other(const Json& part, const std::string& checksum) {
  const auto written = find_string(part, kChecksum);
  return written && *written != checksum;
}

std::string parent_in(const Json& details) {
  return find_string(details, "parent_digest").value_or("");
}

/// "" for a row that is what was written; `image` is what it says.
std::string damage_of(const Row& row, const Result<ImageRecord>& image) {
  if (!image) {
    return image.error().message;
  }
  if (is_other(image->details, checksum_of(*image))) {
    return "it is not what was written";
  }
  return row.text(7) == parent_in(image->details) ? "" : "it names two parents";
}

ImageName name_of(const Row& row) {
  const auto digest = Digest::parse(row.text(2));
  return {row.text(0),
          static_cast<int>(row.integer(1)),
          digest ? std::optional(*digest) : std::nullopt};
}

Result<ImageRecord> image_of(const Row& row) {
  auto image = written_image_of(row);
  const std::string damage = damage_of(row, image);
  if (damage.empty()) {
    return image;
  }
  const std::string reference = name_of(row).reference();
  return Error{ErrorKind::corrupt,
               "what the catalogue says of " + reference + " is damaged: " + damage,
               "`goldmill check --repair` mends it or builds it again; or remove it: goldmill rm " +
                   reference};
}

/// The value of the first such key, wherever that stands and whatever comes after it.
Json salvaged(const std::string& text, const std::string& key) {
  const std::string quoted = "\"" + key + "\":";
  const std::size_t at = text.find(quoted);
  if (at == std::string::npos) {
    return {};
  }
  std::istringstream rest(text.substr(at + quoted.size()));
  Json value;
  try {
    rest >> value;  // ends with the value
  } catch (const Json::exception&) {
    return {};
  }
  return value;
}

DamagedImage damaged_image_of(const Row& row, std::string why) {
  DamagedImage image{name_of(row), std::move(why)};
  const std::string details = row.text(5);
  const auto text_at = [&](const char* key) {
    const Json value = salvaged(details, key);
    return value.is_string() ? value.get<std::string>() : std::string();
  };
  image.recipe_file = text_at("recipe_file");
  image.os = text_at("os");
  const Json set = salvaged(details, "set");
  if (set.is_object()) {
    for (const auto& [key, value] : set.items()) {
      image.set[key] = value.is_string() ? value.get<std::string>() : "";
    }
  }
  return image;
}

/// For the row.
std::string details_of(const ImageRecord& image) {
  Json details = image.details;
  details[kChecksum] = checksum_of(image);
  return dump(details);
}

enum class Damaged : std::uint8_t {
  fails,
  left_out,  ///< others tell of it
};

/// Collects the rows of a query about one table.
template <typename Record>
Result<std::vector<Record>> select(store::Database& database,
                                   const std::string& sql,
                                   const std::vector<SqlValue>& values,
                                   Result<Record> (*read)(const Row&),
                                   Damaged damaged = Damaged::fails) {
  std::vector<Record> records;
  TRY(database.run(sql, values, [&](const Row& row) -> Result<void> {
    auto record = read(row);
    if (record) {
      records.push_back(*std::move(record));
    } else if (damaged == Damaged::fails) {
      return record.error();
    }
    return {};
  }));
  return records;
}

template <typename Record>
std::optional<Record> first_of(std::vector<Record> records) {
  if (records.empty()) {
    return std::nullopt;
  }
  return std::move(records.front());
}

SqlValue parent_column(const ImageRecord& image) {
  const std::string parent = parent_in(image.details);
  return parent.empty() ? SqlValue(nullptr) : SqlValue(parent);
}

/// In the place of the row that the version has.
Result<void> write_anew(store::Database& database, const ImageRecord& image) {
  return database.run(
      "UPDATE images SET digest = ?, disk_digest = ?, parent = ?, config = ?, details = ?"
      " WHERE name = ? AND version = ?",
      {image.digest.hex(),
       image.disk_digest.hex(),
       parent_column(image),
       dump(image.config),
       details_of(image),
       image.name,
       std::int64_t{image.version}});
}

/// Rows by their numbers, with what they are about.
using NumberedRows = std::vector<std::pair<std::int64_t, std::string>>;

/// Rows of (number, subject, digest) whose digest is none; a layer is known by one, too.
Result<NumberedRows> without_digests(store::Database& database,
                                     const std::string& sql,
                                     bool of_layers) {
  NumberedRows damaged;
  TRY(database.run(sql, {}, [&](const Row& row) -> Result<void> {
    if (!Digest::parse(row.text(2)) || (of_layers && !Digest::parse(row.text(1)))) {
      damaged.emplace_back(row.integer(0), row.text(1));
    }
    return {};
  }));
  return damaged;
}

Result<NumberedRows> damaged_blobs(store::Database& database) {
  return without_digests(database, "SELECT rowid, layer, blob FROM layer_blobs", true);
}

Result<NumberedRows> damaged_contents(store::Database& database) {
  return without_digests(database, "SELECT rowid, object, digest FROM contents", false);
}

std::vector<std::string> subjects_of(const NumberedRows& rows) {
  std::vector<std::string> subjects;
  subjects.reserve(rows.size());
  for (const auto& [number, subject] : rows) {
    subjects.push_back(subject);
  }
  return subjects;
}

Result<void> forget(store::Database& database, const std::string& table, const NumberedRows& rows) {
  for (const auto& [number, name] : rows) {
    TRY(database.run("DELETE FROM " + table + " WHERE rowid = ?", {number}));
  }
  return {};
}

Result<NumberedRows> damaged_steps(store::Database& database) {
  NumberedRows damaged;
  TRY(database.run(kStepColumns, {}, [&](const Row& row) -> Result<void> {
    const auto step = whole_step_of(row);
    if (!step || is_other(step->record, checksum_of(*step))) {
      damaged.emplace_back(row.integer(9), row.text(2));
    }
    return {};
  }));
  return damaged;
}

}  // namespace

Catalogue::Catalogue(std::unique_ptr<Database> database) : database_(std::move(database)) {}
Catalogue::Catalogue(Catalogue&&) noexcept = default;
Catalogue& Catalogue::operator=(Catalogue&&) noexcept = default;
Catalogue::~Catalogue() = default;

Result<Catalogue> Catalogue::open(const std::filesystem::path& file) {
  auto database = std::make_unique<Database>(TRY(store::Database::open(file)));
  std::int64_t found = 0;
  TRY(database->run("PRAGMA user_version", {}, [&](const Row& row) -> Result<void> {
    found = row.integer(0);
    return {};
  }));
  if (found > kSchemaVersion) {
    return Error{ErrorKind::conflict,
                 file.string() + " was made by a newer goldmill",
                 "use that version, or another GOLDMILL_HOME"};
  }
  if (found < kSchemaVersion) {
    TRY(database->transact([&] { return make_tables(*database); }));
  }
  return Catalogue(std::move(database));
}

Result<std::optional<StepRecord>> Catalogue::find_step(const Digest& key) {
  return first_of(TRY(select<StepRecord>(
      *database_, std::string(kStepColumns) + "WHERE key = ?", {key.hex()}, step_of)));
}

Result<void> Catalogue::record_step(const StepRecord& step) {
  const SqlValue layer = step.layer ? SqlValue(step.layer->hex()) : SqlValue(nullptr);
  // Two builds may do the same step at once; both results are right and the first stays.
  return database_->run(
      "INSERT INTO steps (key, image, name, kind, layer, description, result, seconds, created)"
      " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING",
      {step.key.hex(),
       step.image,
       step.name,
       step.kind,
       layer,
       record_of(step),
       dump(step.result),
       step.seconds,
       now()});
}

Result<bool> Catalogue::vouches_for(const Digest& layer) {
  bool found = false;
  TRY(database_->run("SELECT 1 FROM steps WHERE layer = ? LIMIT 1",
                     {layer.hex()},
                     [&found](const Row& /*row*/) -> Result<void> {
                       found = true;
                       return {};
                     }));
  return found;
}

Result<std::vector<StepRecord>> Catalogue::newest_steps(const std::string& image,
                                                        const std::string& name,
                                                        int most) {
  return select<StepRecord>(
      *database_,
      std::string(kStepColumns) +
          "WHERE image = ? AND name = ? ORDER BY created DESC, rowid DESC LIMIT ?",
      {image, name, most},
      step_of,
      Damaged::left_out);
}

Result<std::vector<StepRecord>> Catalogue::newest_steps_on(const std::string& image,
                                                           const std::string& kind,
                                                           const Json& parents,
                                                           int most) {
  return select<StepRecord>(*database_,
                            std::string(kStepColumns) +
                                "WHERE image = ? AND kind = ? AND CASE WHEN json_valid(description)"
                                " THEN json_extract(description, '$.parents') = ? END"
                                " ORDER BY created DESC, rowid DESC LIMIT ?",
                            {image, kind, dump(parents), most},
                            step_of,
                            Damaged::left_out);
}

Result<ImageRecord> Catalogue::add_image(ImageRecord image) {
  image.created = now();
  TRY(database_->transact([&]() -> Result<void> {
    bool is_there = false;
    bool is_whole = false;
    TRY(database_->run(std::string(kImageColumns) + "WHERE name = ? AND digest = ?",
                       {image.name, image.digest.hex()},
                       [&](const Row& same) -> Result<void> {
                         image.version = static_cast<int>(same.integer(1));
                         image.created = same.integer(6);
                         is_there = true;
                         is_whole = image_of(same).has_value();
                         return {};
                       }));
    if (is_there) {
      return is_whole ? Result<void>() : write_anew(*database_, image);
    }
    TRY(
        database_->run("INSERT INTO versions (name, newest) VALUES (?, 1)"
                       " ON CONFLICT (name) DO UPDATE SET newest = newest + 1",
                       {image.name}));
    TRY(database_->run("SELECT newest FROM versions WHERE name = ?",
                       {image.name},
                       [&](const Row& row) -> Result<void> {
                         image.version = static_cast<int>(row.integer(0));
                         return {};
                       }));
    return database_->run(
        "INSERT INTO images (name, version, digest, disk_digest, parent, config, details, created)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        {image.name,
         std::int64_t{image.version},
         image.digest.hex(),
         image.disk_digest.hex(),
         parent_column(image),
         dump(image.config),
         details_of(image),
         image.created});
  }));
  return image;
}

Result<void> Catalogue::update_details(const ImageRecord& image) {
  TRY(select<ImageRecord>(*database_,  // a new checksum would hide damage
                          std::string(kImageColumns) + "WHERE name = ? AND version = ?",
                          {image.name, std::int64_t{image.version}},
                          image_of));
  return database_->run("UPDATE images SET details = ? WHERE name = ? AND version = ?",
                        {details_of(image), image.name, std::int64_t{image.version}});
}

Result<ImageRecord> Catalogue::find_image(const ImageReference& reference) {
  std::string sql = std::string(kImageColumns) + "WHERE name = ?1 ";
  std::vector<SqlValue> values = {reference.name};
  if (reference.version > 0) {
    sql += "AND version = ?2 ";
    values.emplace_back(std::int64_t{reference.version});
  } else if (!reference.channel.empty()) {
    sql += "AND version = (SELECT version FROM channels WHERE name = ?1 AND channel = ?2) ";
    values.emplace_back(reference.channel);
  }
  auto found = first_of(TRY(
      select<ImageRecord>(*database_, sql + "ORDER BY version DESC LIMIT 1", values, image_of)));
  if (found) {
    return *std::move(found);
  }
  std::vector<std::string> names;
  for (const ImageRecord& image : TRY(images())) {
    names.push_back(image.name == reference.name ? image.reference() : image.name);
  }
  return Error{ErrorKind::not_found,
               "there is no image " + reference.text(),
               names.empty() ? "build one: goldmill build RECIPE.yaml"
                             : did_you_mean(reference.text(), names)};
}

Result<std::optional<ImageRecord>> Catalogue::find_image_by_digest(const Digest& digest) {
  return first_of(TRY(select<ImageRecord>(*database_,
                                          std::string(kImageColumns) + "WHERE digest = ?",
                                          {digest.hex()},
                                          image_of,
                                          Damaged::left_out)));
}

Result<std::vector<ImageRecord>> Catalogue::images() {
  return select<ImageRecord>(*database_,
                             std::string(kImageColumns) + "ORDER BY name, version",
                             {},
                             image_of,
                             Damaged::left_out);
}

Result<std::vector<DamagedImage>> Catalogue::damaged_images() {
  std::vector<DamagedImage> damaged;
  TRY(database_->run(std::string(kImageColumns) + "ORDER BY created, name, version",
                     {},
                     [&](const Row& row) -> Result<void> {
                       const std::string damage = damage_of(row, written_image_of(row));
                       if (!damage.empty()) {
                         damaged.push_back(damaged_image_of(row, damage));
                       }
                       return {};
                     }));
  return damaged;
}

/// By the column and by the details, of which either may be damaged.
Result<std::vector<ImageName>> Catalogue::children_of(const Digest& digest) {
  std::vector<ImageName> children;
  TRY(database_->run(std::string(kImageColumns) +
                         "WHERE parent = ?1 OR instr(details, ?2) > 0 ORDER BY name, version",
                     {digest.text(), "\"parent_digest\":\"" + digest.text() + "\""},
                     [&](const Row& row) -> Result<void> {
                       children.push_back(name_of(row));
                       return {};
                     }));
  return children;
}

Result<bool> Catalogue::mend_image(const ImageName& image, const std::string& config) {
  std::optional<ImageRecord> mended;
  TRY(database_->run(std::string(kImageColumns) + "WHERE name = ? AND version = ?",
                     {image.name, std::int64_t{image.version}},
                     [&](const Row& row) -> Result<void> {
                       for (const std::string& text : {row.text(4), config}) {
                         auto tried = image_with(row, text);
                         if (tried &&
                             find_string(tried->details, kChecksum) == checksum_of(*tried)) {
                           mended = *std::move(tried);
                         }
                       }
                       return {};
                     }));
  if (mended) {
    TRY(write_anew(*database_, *mended));
  }
  return mended.has_value();
}

Result<void> Catalogue::remove_image(const ImageName& image,
                                     const std::function<Result<void>()>& allowed) {
  return database_->transact([&]() -> Result<void> {
    TRY(allowed());
    TRY(database_->run("DELETE FROM channels WHERE name = ? AND version = ?",
                       {image.name, std::int64_t{image.version}}));
    return database_->run("DELETE FROM images WHERE name = ? AND version = ?",
                          {image.name, std::int64_t{image.version}});
  });
}

Result<void> Catalogue::claim(const std::string& owner, const std::vector<std::string>& objects) {
  return alone([&]() -> Result<void> {
    for (const std::string& object : objects) {
      TRY(database_->run("INSERT INTO claims (owner, object) VALUES (?, ?) ON CONFLICT DO NOTHING",
                         {owner, object}));
    }
    return {};
  });
}

Result<void> Catalogue::remove_claims(const std::string& owner) {
  return database_->run("DELETE FROM claims WHERE owner = ?", {owner});
}

Result<std::vector<std::pair<std::string, std::string>>> Catalogue::claims() {
  std::vector<std::pair<std::string, std::string>> found;
  TRY(database_->run("SELECT owner, object FROM claims", {}, [&](const Row& row) -> Result<void> {
    found.emplace_back(row.text(0), row.text(1));
    return {};
  }));
  return found;
}

Result<std::vector<StepObject>> Catalogue::step_objects() {
  std::vector<StepObject> objects;
  TRY(database_->run("SELECT key, layer, created, description FROM steps",
                     {},
                     [&](const Row& row) -> Result<void> {
                       const auto key = Digest::parse(row.text(0));
                       const auto layer = Digest::parse(row.text(1));
                       if (key && (layer || row.is_null(1))) {  // else damage() tells of it
                         objects.push_back({*key,
                                            row.is_null(1) ? std::nullopt : std::optional(*layer),
                                            row.integer(2),
                                            row.text(3)});
                       }
                       return {};
                     }));
  return objects;
}

Result<void> Catalogue::forget_step(const Digest& key) {
  return database_->run("DELETE FROM steps WHERE key = ?", {key.hex()});
}

Result<void> Catalogue::record_blob(const Digest& layer, const LayerBlob& blob) {
  return database_->run(
      "INSERT OR REPLACE INTO layer_blobs (layer, blob, size, compression)"
      " VALUES (?, ?, ?, ?)",
      {layer.hex(),
       blob.blob.hex(),
       static_cast<std::int64_t>(blob.size),
       blob.compression == Compression::gzip ? "gzip" : "zstd"});
}

Result<std::map<Digest, LayerBlob>> Catalogue::layer_blobs() {
  std::map<Digest, LayerBlob> found;
  TRY(database_->run("SELECT layer, blob, size, compression FROM layer_blobs",
                     {},
                     [&](const Row& row) -> Result<void> {
                       const auto layer = Digest::parse(row.text(0));
                       const auto blob = Digest::parse(row.text(1));
                       if (layer && blob) {
                         found[*layer] = {
                             *blob,
                             static_cast<std::uint64_t>(row.integer(2)),
                             row.text(3) == "gzip" ? Compression::gzip : Compression::zstd};
                       }
                       return {};
                     }));
  return found;
}

Result<void> Catalogue::forget_blob(const Digest& layer) {
  return database_->run("DELETE FROM layer_blobs WHERE layer = ?", {layer.hex()});
}

Result<void> Catalogue::record_content(const std::string& object, const Digest& content) {
  return database_->run("INSERT OR REPLACE INTO contents (object, digest) VALUES (?, ?)",
                        {object, content.hex()});
}

Result<std::map<std::string, Digest>> Catalogue::contents() {
  std::map<std::string, Digest> found;
  TRY(database_->run(
      "SELECT object, digest FROM contents", {}, [&](const Row& row) -> Result<void> {
        if (const auto digest = Digest::parse(row.text(1))) {
          found[row.text(0)] = *digest;
        }
        return {};
      }));
  return found;
}

Result<void> Catalogue::forget_content(const std::string& object) {
  return database_->run("DELETE FROM contents WHERE object = ?", {object});
}

Result<std::vector<std::string>> Catalogue::damage() {
  std::vector<std::string> found;
  TRY(database_->run("PRAGMA integrity_check(20)", {}, [&](const Row& row) -> Result<void> {
    if (row.text(0) != "ok") {
      found.push_back(row.text(0));
    }
    return {};
  }));
  return found;
}

std::vector<std::string> DamagedRows::lines() const {
  std::vector<std::string> lines;
  const auto tell = [&lines](const std::string& what, const std::vector<std::string>& names) {
    for (const std::string& name : names) {
      lines.push_back("what it says of " + what + " '" + name + "' is not what was written");
    }
  };
  tell("the step", steps);
  tell("the blob of the layer", blobs);
  tell("the content of", contents);
  return lines;
}

Result<DamagedRows> Catalogue::damaged_rows() {
  DamagedRows damaged;
  damaged.steps = subjects_of(TRY(damaged_steps(*database_)));
  damaged.blobs = subjects_of(TRY(damaged_blobs(*database_)));
  damaged.contents = subjects_of(TRY(damaged_contents(*database_)));
  return damaged;
}

Result<DamagedRows> Catalogue::forget_damaged_rows() {
  DamagedRows damaged;
  TRY(alone([&]() -> Result<void> {
    damaged = TRY(damaged_rows());
    TRY(forget(*database_, "steps", TRY(damaged_steps(*database_))));
    TRY(forget(*database_, "layer_blobs", TRY(damaged_blobs(*database_))));
    return forget(*database_, "contents", TRY(damaged_contents(*database_)));
  }));
  return damaged;
}

Result<void> Catalogue::alone(const std::function<Result<void>()>& work) {
  return database_->transact(work);
}

Result<std::vector<std::string>> Catalogue::channels_of(const ImageRecord& image) {
  std::vector<std::string> channels;
  TRY(database_->run("SELECT channel FROM channels WHERE name = ? AND version = ?",
                     {image.name, std::int64_t{image.version}},
                     [&](const Row& row) -> Result<void> {
                       channels.push_back(row.text(0));
                       return {};
                     }));
  return channels;
}

Result<void> Catalogue::set_channel(const std::string& name,
                                    const std::string& channel,
                                    int version) {
  return database_->run(
      "INSERT INTO channels (name, channel, version) VALUES (?, ?, ?)"
      " ON CONFLICT (name, channel) DO UPDATE SET version = excluded.version",
      {name, channel, std::int64_t{version}});
}

}  // namespace goldmill::store
