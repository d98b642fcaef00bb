"""Models in pipelines, searches and folds of scikit-learn."""

import numpy as np
from keras import layers
from keras.wrappers import SKLearnClassifier, SKLearnRegressor
from sklearn.datasets import load_digits
from sklearn.metrics import classification_report, confusion_matrix
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tensorflow import keras

X, y = load_digits(return_X_y=True)
X, y = X[:200].astype("float32"), y[:200]


def build(X, y, units=16, loss="categorical_crossentropy", layers_=[16]):
    n_features_in = X.shape[1]
    inp = layers.Input(shape=(n_features_in,))
    h = inp
    for k in layers_:
        h = layers.Dense(k, activation="relu")(h)
    n = y.shape[1] if len(y.shape) > 1 else 1
    out = layers.Dense(n, activation="softmax")(h)
    m = keras.models.Model(inp, out)
    m.compile(loss=loss, optimizer="adam")
    return m


clf = SKLearnClassifier(
    model=build, model_kwargs={"layers_": [20, 20]}, fit_kwargs={"epochs": 2, "verbose": 0}
)
clf.fit(X, y)
print(clf.predict(X[:3]).shape, clf.score(X, y) >= 0)
pipe = make_pipeline(StandardScaler(), SKLearnClassifier(build, fit_kwargs=dict(epochs=2, verbose=0)))
print(cross_val_score(pipe, X, y, cv=2).shape)
gs = GridSearchCV(
    SKLearnClassifier(build, model_kwargs={}, fit_kwargs=dict(epochs=1, verbose=0)),
    {"model_kwargs": [{"layers_": [8]}, {"layers_": [16]}]},
    cv=2,
    n_jobs=2,
)
gs.fit(X, y)
print(gs.best_params_)
a, b, c, d = train_test_split(X, y, test_size=0.2, stratify=None, random_state=0)
m = keras.Sequential(
    [
        layers.Input((8, 8, 1)),
        layers.Conv2D(8, 3, activation="relu"),
        layers.Flatten(),
        layers.Dense(10, activation="softmax"),
    ]
)
m.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
from sklearn.utils.class_weight import compute_class_weight

w = compute_class_weight("balanced", classes=np.unique(c), y=c)
m.fit(a.reshape(-1, 8, 8, 1), c, class_weight=dict(enumerate(w)), epochs=2, verbose=0)
p = m.predict(b.reshape(-1, 8, 8, 1), verbose=0).argmax(axis=1)
print(confusion_matrix(d, p).shape)
print(classification_report(d, p, zero_division=0)[:40])
for tr, te in StratifiedKFold(2).split(X, y):
    mm = keras.models.clone_model(m)
    mm.compile("adam", "sparse_categorical_crossentropy")
    mm.fit(X[tr].reshape(-1, 8, 8, 1), y[tr], epochs=1, verbose=0)
r = SKLearnRegressor(
    lambda X, y: (lambda mm: (mm.compile("adam", "mse"), mm)[1])(
        keras.Sequential([layers.Input((X.shape[1],)), layers.Dense(1)])
    ),
    fit_kwargs={"epochs": 1, "verbose": 0},
)
r.fit(X, y.astype("float32"))
print(r.predict(X).shape)
