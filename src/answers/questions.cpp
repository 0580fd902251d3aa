// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <functional>

#include <goldmill/answers/questions.hpp>
#include <goldmill/recipe/load.hpp>

namespace goldmill::answers {

namespace {

using recipe::Recipe;
using Source = Question::Source;

std::string list_text(const std::vector<std::string>& words, const char* none) {
  std::string text;
  for (const std::string& word : words) {
    text += (text.empty() ? "" : ", ") + word;
  }
  return text.empty() ? none : text;
}

std::string password_text(const std::string& hash) {
  return hash.empty() || hash == "locked" ? "none: no password lets anybody in"
                                          : "a password, known by its hash";
}

std::string partitions_text(const Recipe& recipe) {
  const recipe::Disk disk = recipe.disk.value_or(recipe::Disk{});
  std::vector<std::string> parts;
  for (const recipe::Partition& part : disk.partitions) {
    parts.push_back((part.mount.empty() ? part.filesystem : part.mount + " " + part.filesystem) +
                    (part.size ? " " + to_text(*part.size) : ", the rest"));
  }
  return list_text(parts, ("/ " + disk.filesystem + ", the whole disk").c_str());
}

std::string swap_text(const Recipe& recipe) {
  for (const recipe::Partition& part : recipe.disk.value_or(recipe::Disk{}).partitions) {
    if (part.filesystem == "swap") {
      return part.size ? to_text(*part.size) : "the rest of the disk";
    }
  }
  return "none";
}

std::string boot_text(const Recipe& recipe) {
  std::vector<std::string> firmware;
  for (const recipe::Firmware entry : recipe.disk.value_or(recipe::Disk{}).boot) {
    firmware.emplace_back(name_of(entry));
  }
  return "GRUB, for " + list_text(firmware, "nothing");
}

std::string packages_text(const Recipe& recipe) {
  std::vector<std::string> names;
  for (const recipe::PackageRequest& request : recipe.packages) {
    const bool removes = request.kind == recipe::PackageRequest::Kind::remove;
    names.push_back((removes ? "-" : "") +
                    (request.name.empty() ? request.file.filename().string() : request.name) +
                    (request.version.empty() ? "" : "=" + request.version));
  }
  return list_text(names, "none beside the base's");
}

std::string hardware_text(const Recipe& recipe) {
  std::vector<std::string> names;
  for (const recipe::Hardware entry : recipe.hardware) {
    names.emplace_back(name_of(entry));
  }
  return list_text(names, "all");
}

std::string repositories_text(const Recipe& recipe) {
  std::vector<std::string> uris;
  for (const recipe::Repository& repository : recipe.repositories) {
    uris.push_back(recipe::without_user_info(repository.uri));
  }
  return list_text(uris, "none");
}

std::string debconf_text(const Recipe& recipe) {
  return recipe.debconf.empty() ? "each package's own default"
                                : std::to_string(recipe.debconf.size()) + " answers given";
}

/// What a question is about, and how a merged recipe answers it.
struct Topic {
  const char* topic;
  const char* question;
  const char* key;  ///< "": no recipe can say it
  std::function<std::string(const Recipe&)> answer;
  const char* why;
};

std::function<std::string(const Recipe&)> always(const char* text) {
  return [text](const Recipe&) { return std::string(text); };
}

std::vector<Topic> system_topics() {
  return {
      {"System",
       "operating system",
       "os",
       [](const Recipe& recipe) { return recipe.os->family + "/" + recipe.os->release; },
       ""},
      {"System",
       "architecture",
       "architecture",
       [](const Recipe& recipe) { return recipe.os->architecture; },
       "what most machines are"},
      {"System", "hardware", "hardware", hardware_text, "an image that boots everywhere"},
      {"Language",
       "language",
       "baseline.locale",
       [](const Recipe& recipe) { return *recipe.baseline.locale; },
       "UTF-8 without a country's habits; needs no package"},
      {"Language",
       "keyboard",
       "baseline.keyboard",
       [](const Recipe& recipe) { return recipe.baseline.keyboard.value_or("as the OS has it"); },
       "nobody types at the console of a server"},
      {"Time",
       "time zone",
       "baseline.timezone",
       [](const Recipe& recipe) { return *recipe.baseline.timezone; },
       "logs of machines in many places compare"},
      {"Time", "hardware clock", "", always("UTC"), "what hypervisors show"},
      {"Time",
       "time servers",
       "",
       always("the OS's own, by systemd-timesyncd"),
       "certificates need a right clock; the network's DHCP may name others"},
  };
}

std::vector<Topic> network_topics() {
  return {
      {"Network",
       "address",
       "baseline.network",
       [](const Recipe& recipe) {
         return *recipe.baseline.network == "dhcp" ? "DHCP, on every interface" : "none";
       },
       "fixed addresses belong to instances, not to images"},
      {"Network",
       "host name and domain",
       "",
       always("each instance's own, given when it starts"),
       "two machines of one name disturb each other"},
      {"Network",
       "open ports",
       "baseline.firewall.inbound",
       [](const Recipe& recipe) { return list_text(*recipe.baseline.firewall_inbound, "none"); },
       "everything else is closed"},
      {"Network",
       "clouds that may name it",
       "clouds",
       [](const Recipe& recipe) { return list_text(*recipe.clouds, "none"); },
       "no metadata service is asked that was not named"},
  };
}

std::vector<Topic> account_topics() {
  return {
      {"Accounts",
       "root's password",
       "baseline.root",
       [](const Recipe& recipe) { return password_text(*recipe.baseline.root); },
       "people log in under their own names"},
      {"Accounts",
       "passwords over SSH",
       "baseline.ssh.passwords",
       [](const Recipe& recipe) {
         return *recipe.baseline.ssh_passwords ? "accepted" : "refused: keys only";
       },
       "passwords are guessed, keys are not"},
      {"Accounts",
       "security policy",
       "baseline.security",
       [](const Recipe& recipe) { return *recipe.baseline.security; },
       "`goldmill explain` lists its rules with their reasons"},
  };
}

std::vector<Topic> disk_topics() {
  return {
      {"Disk",
       "which disk, and what becomes of data on it",
       "",
       always("a new one of its own"),
       "nothing is ever overwritten"},
      {"Disk",
       "size",
       "disk.size",
       [](const Recipe& recipe) { return to_text(recipe.disk.value_or(recipe::Disk{}).size); },
       "the root grows with the disk when an instance gets a larger one"},
      {"Disk", "partitions", "disk.partitions", partitions_text, "nothing can fill up by itself"},
      {"Disk", "swap", "disk.partitions", swap_text, "memory is the hypervisor's to give"},
      {"Disk",
       "encryption, LVM and RAID",
       "",
       always("none"),
       "an image holds no key, and the host's storage is what is encrypted and redundant"},
      {"Disk", "boot loader", "disk.boot", boot_text, "boots under either firmware"},
      {"Disk",
       "boot loader's password",
       "",
       always("none"),
       "who reaches the console of a virtual machine owns its disk"},
  };
}

std::vector<Topic> software_topics() {
  return {
      {"Software",
       "mirror",
       "apt.sources",
       [](const Recipe& recipe) {
         return recipe.apt_sources.empty() ? "the build's own archives"
                                           : std::to_string(recipe.apt_sources.size()) +
                                                 " given for the instances' own apt";
       },
       "the archives that signed what is installed; those of the machine that builds"},
      {"Software",
       "further archives",
       "repositories",
       repositories_text,
       "nobody is trusted but who signs the OS"},
      {"Software",
       "proxy",
       "proxy",
       [](const Recipe& recipe) {
         return recipe.proxy.empty() ? "none" : recipe::without_user_info(recipe.proxy);
       },
       "it is for building only and never in the image"},
      {"Software",
       "tasks and packages",
       "packages",
       packages_text,
       "a slim base: what is not there needs no update"},
      {"Software",
       "recommended packages",
       "recommends",
       [](const Recipe& recipe) { return *recipe.recommends ? "installed" : "left out"; },
       "a slim base: what is needed is named"},
      {"Software",
       "what packages ask (debconf), licences among it",
       "debconf",
       debconf_text,
       "asked without a person, as every package must bear"},
      {"Software", "popularity contest", "", always("not installed"), "nothing is reported"},
      {"Software",
       "updates",
       "",
       always("by a new image version: goldmill outdated, then build"),
       "instances stay what was tested; `packages: [unattended-upgrades]` updates them in place"},
      {"Software",
       "further configuration",
       "provision",
       [](const Recipe& recipe) {
         return recipe.provision.empty() ? "none"
                                         : std::to_string(recipe.provision.size()) + " steps";
       },
       "what is not there cannot go wrong"},
      {"Software",
       "desktop, first-boot assistant",
       "",
       always("none"),
       "a server; a desktop comes with its packages"},
  };
}

std::vector<Topic> all_topics() {
  std::vector<Topic> all = system_topics();
  for (auto part : {network_topics(), account_topics(), disk_topics(), software_topics()}) {
    std::move(part.begin(), part.end(), std::back_inserter(all));
  }
  return all;
}

/// Only the last recipe's own: its ancestors' are in the image that it stands on.
bool is_own_only(std::string_view key) {
  return key == "packages" || key == "provision" || key == "debconf" || key == "secrets";
}

class Asking {
 public:
  explicit Asking(const std::vector<Recipe>& lineage)
      : lineage_(lineage), merged_(recipe::merged(lineage)) {}

  std::vector<Question> run() {
    for (const Topic& topic : all_topics()) {
      ask(topic);
      if (std::string_view(topic.key) == "baseline.root") {
        ask_users();
      }
      if (std::string_view(topic.key) == "debconf") {
        ask_debconf();
      }
    }
    return std::move(questions_);
  }

 private:
  void ask(const Topic& topic) {
    Question question{topic.topic,
                      topic.question,
                      topic.key,
                      topic.answer(merged_),
                      Source::fixed,
                      "",
                      topic.why};
    if (!question.key.empty()) {
      find_origin(question);
    }
    questions_.push_back(std::move(question));
  }

  void find_origin(Question& question) const {
    question.source = Source::standard;
    for (std::size_t back = lineage_.size(); back-- > 0;) {
      const Recipe& recipe = lineage_[back];
      const auto [first, last] = recipe.origins.equal_range(question.key);
      if (first != last) {
        question.source = source_of(first->second, back);
        question.where = first->second.text();
        const auto more = std::distance(first, last) - 1;
        question.where += more > 0 ? " and " + std::to_string(more) + " more" : "";
        question.why.clear();
        return;
      }
      if (is_own_only(question.key)) {
        return;
      }
      if (recipe.file.empty()) {  // an image, which does not tell what was said from defaults
        question.source = Source::parent;
        question.where = "image " + recipe.name;
        return;
      }
    }
  }

  Source source_of(const recipe::Position& position, std::size_t index) const {
    for (const recipe::PartUse& part : lineage_[index].parts) {
      if (part.file == position.file) {
        return part.enforced ? Source::enforced : Source::part;
      }
    }
    if (index + 1 < lineage_.size()) {
      return Source::parent;
    }
    return position.column == 0 ? Source::profile : Source::recipe;
  }

  /// The position of an entry of a list is known by its place in it, where one file wrote it whole.
  void ask_users() {
    const auto& users = *merged_.baseline.users;
    for (const recipe::User& user : users) {
      Question question{"Accounts", "account " + user.name, "baseline.users", {}, {}, {}, {}};
      question.answer =
          std::to_string(user.ssh_keys.size()) +
          " SSH keys; password: " + password_text(user.password_hash) +
          (!user.sudo                   ? ""
           : user.password_hash.empty() ? "; root by sudo WITHOUT being asked for a password"
                                        : "; root by sudo with the password");
      find_origin(question);
      if (user.position.line > 0) {
        question.where = user.position.text();
      }
      questions_.push_back(std::move(question));
    }
    if (users.empty()) {
      questions_.push_back({"Accounts",
                            "user accounts",
                            "baseline.users",
                            "none",
                            Source::standard,
                            "",
                            "nobody can log in but by the key that launches an instance"});
    }
  }

  void ask_debconf() {
    for (const recipe::DebconfAnswer& answer : merged_.debconf) {
      Question question{"Software",
                        answer.question + " of " + answer.package,
                        "debconf",
                        answer.value,
                        source_of(answer.position, lineage_.size() - 1),
                        answer.position.text(),
                        ""};
      questions_.push_back(std::move(question));
    }
  }

  const std::vector<Recipe>& lineage_;
  Recipe merged_;
  std::vector<Question> questions_;
};

Json or_null(const std::string& text) {
  return text.empty() ? Json() : Json(text);
}

}  // namespace

const char* name_of(Question::Source source) {
  switch (source) {
    case Source::recipe:
      return "recipe";
    case Source::profile:
      return "profile";
    case Source::part:
      return "part";
    case Source::enforced:
      return "enforced";
    case Source::parent:
      return "parent";
    case Source::standard:
      return "default";
    case Source::fixed:
      return "fixed";
  }
  return "default";
}

std::vector<Question> questions(const std::vector<Recipe>& lineage) {
  return Asking(lineage).run();
}

Json to_json(const Question& question) {
  return {{"topic", question.topic},
          {"question", question.question},
          {"key", or_null(question.key)},
          {"answer", question.answer},
          {"source", name_of(question.source)},
          {"where", or_null(question.where)},
          {"why", or_null(question.why)}};
}

}  // namespace goldmill::answers
